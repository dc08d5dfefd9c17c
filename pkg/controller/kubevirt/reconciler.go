package kubevirt

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/controller/limits"
)

// Reconciler sums up in the KubeVirt object's status whether the components of the installation are there and ready.
type Reconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
	// Namespace is the namespace of the installation.
	Namespace string
	// Version is what this build reports as its version.
	Version string
}

// component is one workload of the installation.
type component struct {
	kind, name     string
	ready, desired int32
	// rolledOut says that the newest template has reached all pods.
	rolledOut bool
}

// expected are the workloads without which the installation is not complete.
var expected = []string{"Deployment/virt-api", "Deployment/virt-controller", "DaemonSet/virt-handler"}

// SetupWithManager registers the reconciler and its watches.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	toAll := handler.EnqueueRequestsFromMapFunc(r.objects)
	return ctrl.NewControllerManagedBy(mgr).Named("kubevirt").
		For(&virtv1.KubeVirt{}).
		Watches(&appsv1.Deployment{}, toAll).
		Watches(&appsv1.DaemonSet{}, toAll).
		WithOptions(controller.Options{RateLimiter: limits.Retries()}).
		Complete(r)
}

func (r *Reconciler) objects(ctx context.Context, o client.Object) []reconcile.Request {
	if o.GetNamespace() != r.Namespace {
		return nil
	}
	var list virtv1.KubeVirtList
	if err := r.Client.List(ctx, &list, client.InNamespace(r.Namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list KubeVirt objects")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}

// Reconcile writes what is seen now into the status.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var kv virtv1.KubeVirt
	if err := r.Client.Get(ctx, req.NamespacedName, &kv); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	components, err := r.components(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	status := r.summarize(&kv, components)
	if apiequality.Semantic.DeepEqual(status, kv.Status) {
		return ctrl.Result{}, nil
	}
	updated := kv.DeepCopy()
	updated.Status = status
	if err := r.Client.Status().Update(ctx, updated); err != nil && !apierrors.IsConflict(err) {
		return ctrl.Result{}, fmt.Errorf("updating status: %w", err)
	}
	return ctrl.Result{}, nil
}

func (r *Reconciler) components(ctx context.Context) ([]component, error) {
	var out []component
	var deployments appsv1.DeploymentList
	if err := r.Client.List(ctx, &deployments, client.InNamespace(r.Namespace)); err != nil {
		return nil, fmt.Errorf("listing deployments: %w", err)
	}
	for _, d := range deployments.Items {
		desired := int32(1)
		if d.Spec.Replicas != nil {
			desired = *d.Spec.Replicas
		}
		// One pod serves; a second that is on its way does not make the installation unavailable.
		out = append(out, component{"Deployment", d.Name, d.Status.ReadyReplicas, min(desired, 1),
			d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas >= desired})
	}
	var sets appsv1.DaemonSetList
	if err := r.Client.List(ctx, &sets, client.InNamespace(r.Namespace)); err != nil {
		return nil, fmt.Errorf("listing daemon sets: %w", err)
	}
	for _, d := range sets.Items {
		out = append(out, component{"DaemonSet", d.Name, d.Status.NumberReady, d.Status.DesiredNumberScheduled,
			d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedNumberScheduled >= d.Status.DesiredNumberScheduled})
	}
	return out, nil
}

func (r *Reconciler) summarize(kv *virtv1.KubeVirt, components []component) virtv1.KubeVirtStatus {
	status := *kv.Status.DeepCopy()
	status.ObservedGeneration = kv.Generation
	status.DefaultArchitecture = runtime.GOARCH
	status.ObservedKubeVirtVersion, status.TargetKubeVirtVersion, status.OperatorVersion = r.Version, r.Version, r.Version
	var missing, waiting, rolling []string
	for _, want := range expected {
		if !slices.ContainsFunc(components, func(c component) bool { return c.kind+"/"+c.name == want }) {
			missing = append(missing, want)
		}
	}
	for _, c := range components {
		name := c.kind + "/" + c.name
		if !slices.Contains(expected, name) {
			continue
		}
		if c.ready < c.desired {
			waiting = append(waiting, fmt.Sprintf("%s has %d of %d pods ready", name, c.ready, c.desired))
		}
		if !c.rolledOut {
			rolling = append(rolling, name)
		}
	}
	set := func(t virtv1.KubeVirtConditionType, is bool, reason, message string) {
		setCondition(&status, t, is, reason, message, metav1.NewTime(r.Clock.Now()))
	}
	available := len(missing) == 0 && len(waiting) == 0
	if len(missing) > 0 {
		waiting = append(waiting, "missing: "+strings.Join(missing, ", "))
	}
	set(virtv1.KubeVirtConditionCreated, len(missing) == 0, "AllResourcesCreated", "All resources were created.")
	if available {
		status.Phase = virtv1.KubeVirtPhaseDeployed
		set(virtv1.KubeVirtConditionAvailable, true, "AllComponentsReady", "All components are ready.")
		set(virtv1.KubeVirtConditionDegraded, false, "AllComponentsReady", "All components are ready.")
	} else {
		if status.Phase == "" {
			status.Phase = virtv1.KubeVirtPhaseDeploying
		}
		set(virtv1.KubeVirtConditionAvailable, false, "ComponentsNotReady", strings.Join(waiting, "; "))
		set(virtv1.KubeVirtConditionDegraded, status.Phase == virtv1.KubeVirtPhaseDeployed, "ComponentsNotReady", strings.Join(waiting, "; "))
	}
	if len(rolling) > 0 {
		set(virtv1.KubeVirtConditionProgressing, true, "RollingOut", "Rolling out "+strings.Join(rolling, ", ")+".")
	} else {
		set(virtv1.KubeVirtConditionProgressing, !available, "AllComponentsReady", "Nothing is being rolled out.")
	}
	return status
}

func setCondition(status *virtv1.KubeVirtStatus, t virtv1.KubeVirtConditionType, is bool, reason, message string, now metav1.Time) {
	value := corev1.ConditionFalse
	if is {
		value = corev1.ConditionTrue
	}
	i := slices.IndexFunc(status.Conditions, func(c virtv1.KubeVirtCondition) bool { return c.Type == t })
	if i < 0 {
		status.Conditions = append(status.Conditions, virtv1.KubeVirtCondition{Type: t})
		i = len(status.Conditions) - 1
	}
	c := &status.Conditions[i]
	if c.Status != value {
		c.LastTransitionTime = now
	}
	c.Status, c.Reason, c.Message = value, reason, message
}
