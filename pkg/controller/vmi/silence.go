package vmi

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// silentAfter is how long the agent of a lost node must have been silent before virt-controller speaks for it: two of its
// heartbeats, which come each minute, and their jitter.
const silentAfter = 3 * time.Minute

// agents remembers when the agent of each node was heard last. What counts is when a heartbeat was first seen here and not
// the time that it names: an agent whose clock is slow lives, and would answer each word of ours by its own. So a
// virt-controller that has just begun to lead waits anew.
type agents struct {
	mu    sync.Mutex
	nodes map[string]*heard
}

type heard struct {
	// beat is the newest heartbeat, and at is when it was first seen.
	beat string
	at   time.Time
	// spoken is when we spoke for the agent, for each instance, since that heartbeat.
	spoken map[types.UID]time.Time
}

// saw notes the heartbeat that a node bears and says when it was first seen.
func (a *agents) saw(node *corev1.Node, now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes == nil {
		a.nodes = map[string]*heard{}
	}
	beat := node.Annotations[virtv1.VirtHandlerHeartbeat]
	h := a.nodes[node.Name]
	if h == nil || h.beat != beat {
		h = &heard{beat: beat, at: now, spoken: map[types.UID]time.Time{}}
		a.nodes[node.Name] = h
	}
	return h.at
}

// spoke notes that we spoke for the agent of a node about an instance.
func (a *agents) spoke(node string, instance types.UID, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.nodes[node]; h != nil {
		h.spoken[instance] = now
	}
}

// spokeLast is when we did so since the last heartbeat, zero if we did not.
func (a *agents) spokeLast(node string, instance types.UID) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.nodes[node]; h != nil {
		return h.spoken[instance]
	}
	return time.Time{}
}

func (a *agents) forget(node string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.nodes, node)
}

func nodeOf(o client.Object) []string {
	if node := o.(*virtv1.VirtualMachineInstance).Status.NodeName; node != "" {
		return []string{node}
	}
	return nil
}

// TrimNode takes from a Node what the cache need not keep; a node's list of images alone is far more than what is left.
func TrimNode(o any) (any, error) {
	if node, ok := o.(*corev1.Node); ok {
		node.ManagedFields = nil
		node.Status = corev1.NodeStatus{Conditions: node.Status.Conditions}
	}
	return o, nil
}

// onNodes looks at the instances of a node that is lost, whenever anything about that node changes, and at no others.
func (r *Reconciler) onNodes() handler.EventHandler {
	look := func(ctx context.Context, o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		node := o.(*corev1.Node)
		r.agents.saw(node, r.Clock.Now())
		if !lost(node) {
			return
		}
		var list virtv1.VirtualMachineInstanceList
		if err := r.Client.List(ctx, &list, client.MatchingFields{instanceByNode: node.Name}); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Could not list the instances of a node", "node", node.Name)
			return
		}
		for i := range list.Items {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			look(ctx, e.Object, q)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			look(ctx, e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			r.agents.forget(e.Object.GetName())
		},
	}
}

// lost says whether nothing is heard of a node's kubelet, or no good.
func lost(node *corev1.Node) bool {
	for _, t := range node.Spec.Taints {
		if t.Key == corev1.TaintNodeUnreachable {
			return true
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status != corev1.ConditionTrue
		}
	}
	return false
}

// unheard says that nobody knows any more how a guest is: its node is lost and the agent there is silent. While the agent
// is heard, it is the one who knows. Of a node that does not exist the pods go too, and end the instance.
func (r *Reconciler) unheard(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (wait, error) {
	name := vmi.Status.NodeName
	if name == "" || before(vmi.Status.Phase, virtv1.Scheduled) || final(vmi.Status.Phase) {
		return wait{}, nil
	}
	var node corev1.Node
	if err := r.Client.Get(ctx, types.NamespacedName{Name: name}, &node); apierrors.IsNotFound(err) {
		return wait{}, nil
	} else if err != nil {
		return wait{}, fmt.Errorf("getting node %s: %w", name, err)
	}
	now := r.Clock.Now()
	since := r.agents.saw(&node, now)
	if !lost(&node) {
		return wait{}, nil
	}
	silent := "nothing is heard of its virt-handler"
	if beat := node.Annotations[virtv1.VirtHandlerHeartbeat]; beat != "" {
		silent += " since " + beat
	}
	w := wait{reason: virtv1.NodeUnreachableReason, message: fmt.Sprintf("node %s does not answer and %s: the guest may still run there and write to its disks, so that nothing starts in its place; "+
		"only if the machine is off for good: kubectl delete node %s, or kubectl taint node %s node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, and it can start on another node", name, silent, name, name)}
	if last := r.agents.spokeLast(name, vmi.UID); last.After(since) && !unreachable(&vmi.Status) {
		since = last // the agent has answered, so it lives, although its heartbeats do not arrive
	}
	return after(since, silentAfter, now, w), nil
}

// unreachable says whether the status has our word about an agent that is silent.
func unreachable(status *virtv1.VirtualMachineInstanceStatus) bool {
	c := conditionOf(status, virtv1.VirtualMachineInstanceReady)
	return c != nil && c.Reason == virtv1.NodeUnreachableReason
}

// speakFor writes what is unheard into a status that has not ended.
func speakFor(status *virtv1.VirtualMachineInstanceStatus, unheard wait, now metav1.Time) {
	if unheard.reason != "" && !final(status.Phase) {
		setCondition(status, virtv1.VirtualMachineInstanceReady, corev1.ConditionFalse, unheard.reason, unheard.message, now)
	}
}
