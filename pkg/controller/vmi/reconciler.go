package vmi

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/controller/limits"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Fields of the cache's indexes.
const (
	podByInstance   = "virtplane.instanceUID"
	instanceByClaim = "virtplane.claim"
	instanceByNode  = "virtplane.node"
)

// Configuration gives the cluster's configuration as it is now.
type Configuration interface {
	Configuration(ctx context.Context) (virtv1.KubeVirtConfiguration, error)
}

// Reconciler reconciles VirtualMachineInstances. Reads go to the manager's cache.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Live reads past the cache.
	Live          client.Reader
	Clock         clock.PassiveClock
	Configuration Configuration
	// LauncherImage is the image of launcher pods.
	LauncherImage string

	agents agents
}

// SetupWithManager registers the reconciler, its indexes and its watches.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, workers int) error {
	index := mgr.GetFieldIndexer()
	if err := index.IndexField(ctx, &corev1.Pod{}, podByInstance, func(o client.Object) []string {
		if ref := metav1.GetControllerOf(o); ref != nil && ref.Kind == "VirtualMachineInstance" {
			return []string{string(ref.UID)}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("indexing pods by instance: %w", err)
	}
	if err := index.IndexField(ctx, &virtv1.VirtualMachineInstance{}, instanceByClaim, claimsIndexed); err != nil {
		return fmt.Errorf("indexing instances by claim: %w", err)
	}
	if err := index.IndexField(ctx, &virtv1.VirtualMachineInstance{}, instanceByNode, nodeOf); err != nil {
		return fmt.Errorf("indexing instances by node: %w", err)
	}
	if err := index.IndexField(ctx, &virtv1.VirtualMachineInstance{}, instanceByCID, cidOf); err != nil {
		return fmt.Errorf("indexing instances by VSOCK address: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).Named("vmi").
		For(&virtv1.VirtualMachineInstance{}).
		Owns(&corev1.Pod{}).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.usersOfClaim)).
		Watches(&virtv1.VirtualMachineInstance{}, handler.EnqueueRequestsFromMapFunc(r.rivals), builder.WithPredicates(givesWay)).
		Watches(&virtv1.KubeVirt{}, handler.EnqueueRequestsFromMapFunc(r.refused), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.LimitRange{}, handler.EnqueueRequestsFromMapFunc(r.withoutPod)).
		Watches(&virtv1.VirtualMachine{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(tells)).
		Watches(&corev1.Node{}, r.onNodes()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: limits.Retries()}).
		Complete(r)
}

func (r *Reconciler) usersOfClaim(ctx context.Context, claim client.Object) []reconcile.Request {
	var list virtv1.VirtualMachineInstanceList
	if err := r.Client.List(ctx, &list, client.InNamespace(claim.GetNamespace()), client.MatchingFields{instanceByClaim: claim.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list the instances that use a claim", "claim", claim.GetName())
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		// Once a pod is bound its claims are the kubelet's business, until it has ended.
		if list.Items[i].Status.NodeName == "" || final(list.Items[i].Status.Phase) && claim.GetDeletionTimestamp() != nil {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}

// Reconcile brings one instance a step nearer to what its spec and its pod say.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var vmi virtv1.VirtualMachineInstance
	if err := r.Client.Get(ctx, req.NamespacedName, &vmi); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(vmi.Namespace), client.MatchingFields{podByInstance: string(vmi.UID)}); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing pods of instance: %w", err)
	}
	if vmi.DeletionTimestamp != nil {
		return r.finish(ctx, &vmi, pods.Items)
	}
	if final(vmi.Status.Phase) {
		return r.clearAway(ctx, &vmi, pods.Items)
	}
	config, err := r.Configuration.Configuration(ctx)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reading the cluster's configuration: %w", err)
	}
	render := RenderOptions{LauncherImage: r.LauncherImage, Config: config}
	pod, held, err := r.podOf(ctx, &vmi, pods.Items)
	if err != nil {
		return ctrl.Result{}, err
	}
	var waiting wait
	var refused wait
	if pod == nil && vmi.Status.NodeName == "" {
		refused = unsupported(&vmi, &config)
	}
	if vmi.Status.NodeName == "" && refused.reason == "" {
		if render.Claims, waiting, err = r.claimsOf(ctx, &vmi, config.VMStateStorageClass); err != nil {
			return ctrl.Result{}, err
		}
		if pod == nil && waiting.reason == "" {
			if waiting, err = r.claimInUse(ctx, &vmi); err != nil {
				return ctrl.Result{}, err
			}
		}
		if pod == nil && waiting.reason == "" {
			if pod, waiting, err = r.ensurePod(ctx, &vmi, render); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	if pod != nil && held.reason == "" {
		late := overdue([]corev1.Pod{*pod}, r.Clock.Now())
		held = wait{late.reason, late.message, soonest(held.again, late.again)}
	}
	if pod != nil && waiting.reason == "" && before(vmi.Status.Phase, virtv1.Scheduled) {
		if waiting, err = r.heldByPod(ctx, pod, render.Claims, podWait(pod, render.Claims, r.Clock.Now())); err != nil {
			return ctrl.Result{}, err
		}
		waiting = r.mountWait(ctx, &vmi, pod, waiting)
		if waiting.reason == "" && waiting.again == 0 {
			waiting = unreadyWait(&vmi, pod, r.Clock.Now())
		}
	}
	if pod != nil {
		if render.CID, err = r.address(ctx, &vmi); err != nil {
			return ctrl.Result{}, err
		}
	}
	unheard, err := r.unheard(ctx, &vmi)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.writeStatus(ctx, &vmi, pod, render, told{waiting, refused, held, unheard}); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.tellPause(ctx, &vmi, pod); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: soonest(waiting.again, held.again, unheard.again)}, nil
}

// unseen is when to look again at a pod that the cache does not show: no event of it will come.
const unseen = 10 * time.Second

// podOf finds the pod that the instance runs or will run in. The cache shows only pods that bear our label and owner, which
// anybody who may edit pods can take away, so that a pod is gone only when nothing has its name (decision 21): what follows
// from that is another guest on the same disks.
func (r *Reconciler) podOf(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pods []corev1.Pod) (*corev1.Pod, wait, error) {
	if pod := current(vmi, pods); pod != nil || vmi.Status.NodeName == "" {
		return pod, wait{}, nil
	}
	pod, err := r.livePod(ctx, vmi)
	if err != nil || pod == nil {
		return nil, wait{}, err
	}
	if _, active := vmi.Status.ActivePods[pod.UID]; !active {
		return nil, wait{}, nil // ours is gone, or there could not be another of its name
	}
	held := notOwned(vmi, pod)
	held.again = unseen
	return pod, held, nil
}

// livePod reads the one pod that the instance can have; nil if there is none.
func (r *Reconciler) livePod(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (*corev1.Pod, error) {
	var pod corev1.Pod
	key := types.NamespacedName{Namespace: vmi.Namespace, Name: machine.LauncherPodName(vmi.Namespace, vmi.Name, vmi.UID, 0)}
	if err := r.Live.Get(ctx, key, &pod); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("looking for launcher pod %s: %w", key.Name, err)
	}
	return &pod, nil
}

// notOwned says what a pod lacks of what a launcher pod of the instance bears.
func notOwned(vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod) wait {
	switch {
	case !metav1.IsControlledBy(pod, vmi):
		return wait{reason: ReasonPodNotOwned, message: fmt.Sprintf("pod %s has the name of this instance's launcher pod but not the instance as its owner: give it back its ownerReferences, or delete the pod", pod.Name), again: unseen}
	case pod.Labels[virtv1.AppLabel] != machine.LauncherAppName:
		return wait{reason: ReasonPodNotOwned, message: fmt.Sprintf("launcher pod %s has lost its label: kubectl label pod -n %s %s %s=%s --overwrite", pod.Name, pod.Namespace, pod.Name, virtv1.AppLabel, machine.LauncherAppName), again: unseen}
	}
	return wait{}
}

// current is the pod that the instance runs or will run in.
func current(vmi *virtv1.VirtualMachineInstance, pods []corev1.Pod) *corev1.Pod {
	for i := range pods {
		if _, active := vmi.Status.ActivePods[pods[i].UID]; active || vmi.Status.NodeName == "" {
			return &pods[i]
		}
	}
	return nil
}

// ensurePod creates the launcher pod. A pod that exists already under the name is adopted when it
// is this instance's, since the cache may not have shown it yet (decision 21).
func (r *Reconciler) ensurePod(ctx context.Context, vmi *virtv1.VirtualMachineInstance, render RenderOptions) (*corev1.Pod, wait, error) {
	var err error
	if render.Limits, err = r.autoLimits(ctx, vmi.Namespace, &render.Config); err != nil {
		return nil, wait{}, err
	}
	if render.Ranges, err = r.ranges(ctx, vmi.Namespace); err != nil {
		return nil, wait{}, err
	}
	pod := Pod(vmi, 0, render)
	if why := render.Ranges.refuses(pod); why != "" {
		return nil, wait{reason: ReasonLimitRange, message: why}, nil
	}
	err = r.Client.Create(ctx, pod)
	switch {
	case err == nil:
		r.Recorder.Eventf(vmi, pod, corev1.EventTypeNormal, "SuccessfulCreate", "CreatePod", "Created virtual machine pod %s", pod.Name)
		return pod, wait{}, nil
	case apierrors.IsAlreadyExists(err):
		existing, err := r.livePod(ctx, vmi)
		switch {
		case err != nil:
			return nil, wait{}, err
		case existing == nil:
			return nil, wait{}, fmt.Errorf("launcher pod %s was there and is gone", pod.Name)
		}
		if w := notOwned(vmi, existing); w.reason != "" {
			w.reason = ReasonPodCreateFailed
			return nil, w, nil
		}
		return existing, wait{}, nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		// Quota, policy or a spec that pods refuse: say so where the user looks, and try again with back-off.
		message := "the virtual machine pod could not be created: " + r.named(ctx, vmi.Namespace, err)
		if werr := r.writeStatus(ctx, vmi, nil, render, told{waiting: wait{reason: ReasonPodCreateFailed, message: message}}); werr != nil {
			return nil, wait{}, werr
		}
		return nil, wait{}, fmt.Errorf("creating launcher pod: %w", err)
	default:
		return nil, wait{}, fmt.Errorf("creating launcher pod: %w", err)
	}
}

// claimsOf gets the claims of an instance and says whether one is missing or lost. The one for its state is made if there is
// none, in the storage class stateClass. A claim that is not bound yet is no reason to wait: with WaitForFirstConsumer it is the
// pod that makes it bind.
func (r *Reconciler) claimsOf(ctx context.Context, vmi *virtv1.VirtualMachineInstance, stateClass string) (map[string]*corev1.PersistentVolumeClaim, wait, error) {
	out := map[string]*corev1.PersistentVolumeClaim{}
	for _, name := range claims(vmi) {
		claim, w, err := r.claimNamed(ctx, vmi, name, stateClass)
		if err != nil || w.reason != "" {
			return nil, w, err
		}
		if claim.Status.Phase == corev1.ClaimLost {
			return nil, wait{reason: ReasonClaimLost, message: fmt.Sprintf("PersistentVolumeClaim %s has lost its volume", name)}, nil
		}
		out[name] = claim
	}
	return out, wait{}, nil
}

func (r *Reconciler) claimNamed(ctx context.Context, vmi *virtv1.VirtualMachineInstance, name, stateClass string) (*corev1.PersistentVolumeClaim, wait, error) {
	claim := &corev1.PersistentVolumeClaim{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: vmi.Namespace, Name: name}, claim)
	keepsState := name == stateClaim(vmi)
	var w wait
	switch {
	case apierrors.IsNotFound(err) && keepsState:
		claim, w, err = r.createStateClaim(ctx, vmi, stateClass)
	case apierrors.IsNotFound(err):
		return nil, wait{reason: ReasonClaimNotFound, message: fmt.Sprintf("PersistentVolumeClaim %s does not exist: create it, and the machine starts", name)}, nil
	case err != nil:
		err = fmt.Errorf("getting claim %s: %w", name, err)
	}
	if err == nil && w.reason == "" && keepsState {
		w = ownsState(vmi, claim)
	}
	return claim, w, err
}

func claimsIndexed(o client.Object) []string { return claims(o.(*virtv1.VirtualMachineInstance)) }

func claims(vmi *virtv1.VirtualMachineInstance) []string {
	var out []string
	for _, v := range vmi.Spec.Volumes {
		if c := claimOf(v); c != "" {
			out = append(out, c)
		}
	}
	if c := stateClaim(vmi); c != "" {
		out = append(out, c)
	}
	return out
}

// told is what a status tells beside what the pod does: what the instance waits for before it has one, why it gets none at all,
// what holds up its end, and that nobody hears of its guest.
type told struct{ waiting, refused, held, unheard wait }

func (r *Reconciler) writeStatus(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod, render RenderOptions, t told) error {
	now := metav1.NewTime(r.Clock.Now())
	status := observe(vmi, pod, t.waiting, now, render)
	setRefused(&status, t.refused, now)
	setWait(&status, virtv1.VirtualMachineInstanceBlocked, t.held, now)
	speakFor(&status, t.unheard, now)
	return r.write(ctx, vmi, status)
}

func (r *Reconciler) write(ctx context.Context, vmi *virtv1.VirtualMachineInstance, status virtv1.VirtualMachineInstanceStatus) error {
	if sameStatus(&status, &vmi.Status) {
		return nil
	}
	updated := vmi.DeepCopy()
	updated.Status = status
	if err := r.Client.Status().Update(ctx, updated); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil // a newer object is on its way to the cache and brings us back
		}
		return fmt.Errorf("updating instance status: %w", err)
	}
	r.announce(vmi, updated)
	return nil
}

// patience are reasons of waits that happen on the way of healthy instances: whoever starts one and takes warnings for
// failures, as scripts do, is not told of failure. A condition tells them as long as they last.
var patience = []string{ReasonUnschedulable, ReasonClaimPending, ReasonContainers, ReasonClaimInUse}

// announce tells transitions, and only those, as events.
func (r *Reconciler) announce(was, is *virtv1.VirtualMachineInstance) {
	for _, t := range []virtv1.VirtualMachineInstanceConditionType{virtv1.VirtualMachineInstanceProvisioning, virtv1.VirtualMachineInstanceBlocked} {
		old, now := conditionOf(&was.Status, t), conditionOf(&is.Status, t)
		if now != nil && (old == nil || old.Reason != now.Reason) {
			kind := corev1.EventTypeWarning
			if slices.Contains(patience, now.Reason) {
				kind = corev1.EventTypeNormal
			}
			r.Recorder.Eventf(is, nil, kind, now.Reason, "Wait", "%s", now.Message)
		}
	}
	if c := conditionOf(&is.Status, virtv1.VirtualMachineInstanceSynchronized); refusedByUs(&is.Status) && !refusedByUs(&was.Status) {
		r.Recorder.Eventf(is, nil, corev1.EventTypeWarning, "SyncFailed", "Refuse", "%s", c.Message)
	}
	if unreachable(&is.Status) && !unreachable(&was.Status) {
		r.agents.spoke(is.Status.NodeName, is.UID, r.Clock.Now())
		c := conditionOf(&is.Status, virtv1.VirtualMachineInstanceReady)
		r.Recorder.Eventf(is, nil, corev1.EventTypeWarning, c.Reason, "Observe", "%s", c.Message)
	}
	if was.Status.Phase != is.Status.Phase && is.Status.Phase == virtv1.Failed {
		message := is.Status.Reason
		if c := conditionOf(&is.Status, virtv1.VirtualMachineInstanceReady); c != nil && c.Message != "" {
			message = c.Message
		}
		how := "crashed"
		if is.Status.Reason == ReasonPodTerminated || is.Status.Reason == ReasonPodGone {
			how = "lost its pod"
		}
		r.Recorder.Eventf(is, nil, corev1.EventTypeWarning, "Stopped", "Observe", "The VirtualMachineInstance %s: %s", how, message)
	}
}

func conditionOf(status *virtv1.VirtualMachineInstanceStatus, t virtv1.VirtualMachineInstanceConditionType) *virtv1.VirtualMachineInstanceCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == t {
			return &status.Conditions[i]
		}
	}
	return nil
}

// lingering is how long the pod of an instance that has ended may go on by itself.
const lingering = 30 * time.Second

// clearAway deletes the pod of an instance that has ended when the pod does not end too. Its first process ends with QEMU, so
// one that never had a QEMU would hold the node's memory for ever. A pod that has ended stays, for its log, until somebody
// wants one of its claims gone.
func (r *Reconciler) clearAway(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pods []corev1.Pod) (ctrl.Result, error) {
	// What held it up when it ran does so no more, but its pod may still be on a node that is lost.
	held := overdue(pods, r.Clock.Now())
	status := *vmi.Status.DeepCopy()
	setWait(&status, virtv1.VirtualMachineInstanceBlocked, held, metav1.NewTime(r.Clock.Now()))
	if err := r.write(ctx, vmi, status); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.freeClaims(ctx, vmi, pods); err != nil {
		return ctrl.Result{}, err
	}
	if keep, ok := vmi.Annotations[virtv1.KeepLauncherAnnotation]; ok && (keep == "" || keep == "true") {
		return ctrl.Result{RequeueAfter: held.again}, nil
	}
	left := lingering - r.Clock.Now().Sub(since(&vmi.Status))
	for i := range pods {
		if ended(&pods[i]) || pods[i].DeletionTimestamp != nil {
			continue
		}
		if left > 0 {
			return ctrl.Result{RequeueAfter: soonest(left, held.again)}, nil
		}
		if err := r.Client.Delete(ctx, &pods[i], client.Preconditions{UID: &pods[i].UID}); client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, fmt.Errorf("deleting launcher pod %s: %w", pods[i].Name, err)
		}
		r.Recorder.Eventf(vmi, nil, corev1.EventTypeNormal, "SuccessfulDelete", "DeletePod", "Deleted virtual machine pod %s, which did not end with its guest", pods[i].Name)
	}
	return ctrl.Result{RequeueAfter: held.again}, nil
}

// freeClaims deletes the pods that have ended of an instance that has, when one of their claims is deleted: Kubernetes keeps a
// claim as long as any pod that had a node names it, whether that still runs or not.
func (r *Reconciler) freeClaims(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pods []corev1.Pod) error {
	if !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return ended(&p) && p.DeletionTimestamp == nil }) {
		return nil
	}
	var deleted string
	for _, name := range claims(vmi) {
		var claim corev1.PersistentVolumeClaim
		if err := r.Client.Get(ctx, types.NamespacedName{Namespace: vmi.Namespace, Name: name}, &claim); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("getting claim %s: %w", name, err)
		} else if err == nil && claim.DeletionTimestamp != nil {
			deleted = name
		}
	}
	if deleted == "" {
		return nil
	}
	for i := range pods {
		if !ended(&pods[i]) || pods[i].DeletionTimestamp != nil {
			continue
		}
		if err := r.Client.Delete(ctx, &pods[i], client.Preconditions{UID: &pods[i].UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting launcher pod %s: %w", pods[i].Name, err)
		}
		r.Recorder.Eventf(vmi, nil, corev1.EventTypeNormal, "SuccessfulDelete", "DeletePod", "Deleted virtual machine pod %s, which had ended and held the deleted PersistentVolumeClaim %s", pods[i].Name, deleted)
	}
	return nil
}

// since is when an instance has entered its phase.
func since(status *virtv1.VirtualMachineInstanceStatus) time.Time {
	for _, t := range status.PhaseTransitionTimestamps {
		if t.Phase == status.Phase {
			return t.PhaseTransitionTimestamp.Time
		}
	}
	return time.Time{}
}

// finish deletes what belongs to a deleted instance and lets it go once its pods are gone: a pod that still exists may still
// run the guest, and a second instance must not start beside it.
func (r *Reconciler) finish(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pods []corev1.Pod) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(vmi, virtv1.VirtualMachineInstanceFinalizer) {
		return ctrl.Result{}, nil
	}
	var held wait
	if len(pods) == 0 {
		// The cache may be behind a pod that was created a moment ago, or blind for it: ask for the one name that can exist.
		pod, err := r.livePod(ctx, vmi)
		switch {
		case err != nil:
			return ctrl.Result{}, err
		case pod == nil:
			if left, err := r.keptBack(ctx, vmi); err != nil || left > 0 {
				return ctrl.Result{RequeueAfter: left}, err
			}
			return ctrl.Result{}, r.release(ctx, vmi)
		case belongs(vmi, pod):
			pods = []corev1.Pod{*pod}
		default:
			held = notOwned(vmi, pod)
		}
		held.again = unseen
	}
	for i := range pods {
		if pods[i].DeletionTimestamp != nil {
			continue
		}
		seconds := gracePeriod(&vmi.Spec) + graceMarginSeconds
		if ended(&pods[i]) {
			seconds = 0
		}
		if err := r.Client.Delete(ctx, &pods[i], client.GracePeriodSeconds(seconds), client.Preconditions{UID: &pods[i].UID}); client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, fmt.Errorf("deleting launcher pod %s: %w", pods[i].Name, err)
		}
		r.Recorder.Eventf(vmi, nil, corev1.EventTypeNormal, "SuccessfulDelete", "DeletePod", "Deleted virtual machine pod %s", pods[i].Name)
	}
	if late := overdue(pods, r.Clock.Now()); held.reason == "" {
		held = wait{late.reason, late.message, soonest(held.again, late.again)}
	}
	unheard, err := r.unheard(ctx, vmi)
	if err != nil {
		return ctrl.Result{}, err
	}
	status, now := *vmi.Status.DeepCopy(), metav1.NewTime(r.Clock.Now())
	setWait(&status, virtv1.VirtualMachineInstanceBlocked, held, now)
	speakFor(&status, unheard, now)
	return ctrl.Result{RequeueAfter: soonest(held.again, unheard.again)}, r.write(ctx, vmi, status)
}

// overdueAfter is how long a pod may take to go once its grace period has passed.
const overdueAfter = 15 * time.Second

// overdue finds a deleted pod that should be gone by now. Only its node can say that its guest has ended; when the node is
// lost, someone who knows that it is off must say so.
func overdue(pods []corev1.Pod, now time.Time) wait {
	var next time.Duration
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp == nil {
			continue
		}
		message := fmt.Sprintf("waiting for pod %s to end, whose grace period has passed", pod.Name)
		if node := pod.Spec.NodeName; node != "" {
			message = fmt.Sprintf("waiting for pod %s on node %s to end, whose grace period has passed; only if the node is off for good: "+
				"kubectl taint node %s node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, or kubectl delete pod -n %s %s --force", pod.Name, node, node, pod.Namespace, pod.Name)
		}
		w := after(pod.DeletionTimestamp.Time, overdueAfter, now, wait{reason: virtv1.PodTerminatingReason, message: message})
		if w.reason != "" {
			return w
		}
		next = soonest(next, w.again)
	}
	return wait{again: next}
}

// belongs says whether a pod of the instance's pod name is the instance's, although it may not look like it any more.
func belongs(vmi *virtv1.VirtualMachineInstance, pod *corev1.Pod) bool {
	_, active := vmi.Status.ActivePods[pod.UID]
	return active || metav1.IsControlledBy(pod, vmi) || pod.Labels[virtv1.CreatedByLabel] == string(vmi.UID)
}

// release lets a deleted instance go.
func (r *Reconciler) release(ctx context.Context, vmi *virtv1.VirtualMachineInstance) error {
	updated := vmi.DeepCopy()
	controllerutil.RemoveFinalizer(updated, virtv1.VirtualMachineInstanceFinalizer)
	if err := r.Client.Update(ctx, updated); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing finalizer: %w", err)
	}
	return nil
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
