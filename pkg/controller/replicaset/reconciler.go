package replicaset

import (
	"context"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/controller/limits"
)

const (
	kind = "VirtualMachineInstanceReplicaSet"
	// instanceBySet is the index of instances by the set that owns them.
	instanceBySet = "virtplane.replicaSetUID"
	// statusTimeout bounds what is written although the reconciliation has failed.
	statusTimeout = 10 * time.Second
)

// Reconciler reconciles VirtualMachineInstanceReplicaSets. Reads go to the manager's cache.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
}

// SetupWithManager registers the reconciler, its index and its watches.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, workers int) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &virtv1.VirtualMachineInstance{}, instanceBySet, ownerSet); err != nil {
		return fmt.Errorf("indexing instances by replica set: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).Named("replicaset").
		For(&virtv1.VirtualMachineInstanceReplicaSet{}).
		Owns(&virtv1.VirtualMachineInstance{}).
		Watches(&virtv1.VirtualMachineInstance{}, handler.EnqueueRequestsFromMapFunc(r.wouldTake)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: limits.Retries()}).
		Complete(r)
}

// ownerSet is the UID of the set that owns an instance.
func ownerSet(o client.Object) []string {
	if ref := metav1.GetControllerOf(o); ref != nil && ref.Kind == kind {
		return []string{string(ref.UID)}
	}
	return nil
}

// wouldTake finds the sets that select an instance which nobody owns.
func (r *Reconciler) wouldTake(ctx context.Context, o client.Object) []reconcile.Request {
	if metav1.GetControllerOf(o) != nil || len(o.GetLabels()) == 0 {
		return nil
	}
	var sets virtv1.VirtualMachineInstanceReplicaSetList
	if err := r.Client.List(ctx, &sets, client.InNamespace(o.GetNamespace())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list the replica sets that may select an instance", "instance", o.GetName())
		return nil
	}
	var out []reconcile.Request
	for i := range sets.Items {
		if s, err := selectorOf(&sets.Items[i]); err == nil && s.Matches(labels.Set(o.GetLabels())) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&sets.Items[i])})
		}
	}
	return out
}

func selectorOf(set *virtv1.VirtualMachineInstanceReplicaSet) (labels.Selector, error) {
	s, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("spec.selector: %w", err)
	}
	if s.Empty() {
		return nil, fmt.Errorf("spec.selector selects everything")
	}
	return s, nil
}

// Reconcile brings one set a step nearer to the number of instances that it asks for.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var set virtv1.VirtualMachineInstanceReplicaSet
	if err := r.Client.Get(ctx, req.NamespacedName, &set); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	selector, err := selectorOf(&set)
	if err != nil || set.Spec.Template == nil {
		// The API accepts no such set; without a selector nothing may be touched.
		ctrl.LoggerFrom(ctx).Error(err, "A replica set has no usable selector or template, leaving it alone")
		return ctrl.Result{}, nil
	}
	members, err := r.members(ctx, r.Client, &set, selector)
	if err != nil {
		return ctrl.Result{}, err
	}
	var again time.Duration
	var failed *problem
	if set.DeletionTimestamp == nil && !paused(&set) {
		p := decide(&set, members, r.Clock.Now())
		if !p.empty() {
			// The cache may be behind what was done a moment ago. Doing it again would be too much.
			if members, err = r.members(ctx, r.Live, &set, selector); err != nil {
				return ctrl.Result{}, err
			}
			p = decide(&set, members, r.Clock.Now())
		}
		again = p.again
		members, failed = r.carryOut(ctx, &set, members, p)
	}
	if err := r.writeStatus(ctx, &set, selector, members, failed); err != nil {
		return ctrl.Result{}, err
	}
	if failed != nil {
		return ctrl.Result{}, failed.err
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

func paused(set *virtv1.VirtualMachineInstanceReplicaSet) bool {
	return set.Spec.Paused != nil && *set.Spec.Paused
}

// writeStatus tells what there is, and what could not be done.
func (r *Reconciler) writeStatus(ctx context.Context, set *virtv1.VirtualMachineInstanceReplicaSet, selector labels.Selector, members []virtv1.VirtualMachineInstance, failed *problem) error {
	status := summarize(set, selector, members, failed, metav1.NewTime(r.Clock.Now().Truncate(time.Second)))
	if apiequality.Semantic.DeepEqual(status, set.Status) {
		return nil
	}
	updated := set.DeepCopy()
	updated.Status = status
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if err := r.Client.Status().Update(ctx, updated); err != nil {
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil // a newer object is on its way to the cache and brings us back
		}
		return fmt.Errorf("updating the status of the replica set: %w", err)
	}
	r.announce(set, updated)
	return nil
}
