package vmi

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func nodeWith(name string, ready corev1.ConditionStatus, beat string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	node.Status.Conditions = []corev1.NodeCondition{{Type: "MemoryPressure", Status: "Unknown"}, {Type: corev1.NodeReady, Status: ready}}
	if beat != "" {
		node.Annotations = map[string]string{"kubevirt.io/heartbeat": beat}
	}
	return node
}

// setNode writes a node, be it new or not.
func (w *world) setNode(node *corev1.Node) {
	w.t.Helper()
	var was corev1.Node
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(node), &was); err == nil {
		if err := w.client.Delete(w.t.Context(), &was); err != nil {
			w.t.Fatal(err)
		}
	}
	status := node.Status
	if err := w.client.Create(w.t.Context(), node); err != nil {
		w.t.Fatal(err)
	}
	node.Status = status
	if err := w.client.Status().Update(w.t.Context(), node); err != nil {
		w.t.Fatal(err)
	}
}

// runs makes the instance a guest that runs on node-1, as virt-handler reports it.
func runs(t *testing.T) *world {
	w := newWorld(t, pending())
	w.reconcile()
	w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName, p.Finalizers = "node-1", []string{"test/stays"} })
	w.reconcile()
	w.report(virtv1.Running, corev1.ConditionTrue)
	w.told()
	w.writes = 0
	return w
}

// report writes what virt-handler would.
func (w *world) report(phase virtv1.VirtualMachineInstancePhase, ready corev1.ConditionStatus) {
	w.t.Helper()
	vmi := w.vmi()
	vmi.Status.Phase = phase
	setCondition(&vmi.Status, virtv1.VirtualMachineInstanceReady, ready, "", "", metav1.NewTime(w.clock.Now()))
	if err := w.client.Status().Update(w.t.Context(), vmi); err != nil {
		w.t.Fatal(err)
	}
	w.writes-- // it is not virt-controller's
}

func TestSilentAgent(t *testing.T) {
	const beat = "2026-01-02T11:59:30Z"
	for _, tc := range []struct {
		name string
		node *corev1.Node
		with func(*world)
		// age is for how long the node has been seen as it is.
		age    time.Duration
		reason string
		again  time.Duration
	}{
		{name: "all is well", node: nodeWith("node-1", "True", beat)},
		{name: "the agent alone is silent", node: nodeWith("node-1", "True", beat), age: time.Hour},
		{name: "the node is lost", node: nodeWith("node-1", "Unknown", beat), again: 3 * time.Minute},
		{name: "the node is lost for a while", node: nodeWith("node-1", "Unknown", beat), age: 179 * time.Second, again: time.Second},
		{name: "the node is lost and its agent silent", node: nodeWith("node-1", "Unknown", beat), age: 3 * time.Minute, reason: "NodeUnreachable"},
		{name: "the node is not ready and its agent silent", node: nodeWith("node-1", "False", beat), age: time.Hour, reason: "NodeUnreachable"},
		{name: "the node is tainted only", node: func() *corev1.Node {
			n := nodeWith("node-1", "True", beat)
			n.Spec.Taints = []corev1.Taint{{Key: "node.kubernetes.io/unreachable", Effect: corev1.TaintEffectNoExecute}}
			return n
		}(), age: 3 * time.Minute, reason: "NodeUnreachable"},
		{name: "the agent was never heard", node: nodeWith("node-1", "Unknown", ""), age: 3 * time.Minute, reason: "NodeUnreachable"},
		{name: "the agent's clock is slow", node: nodeWith("node-1", "Unknown", "2026-01-02T10:00:00Z"), age: time.Minute, again: 2 * time.Minute},
		{name: "the agent's clock is fast", node: nodeWith("node-1", "Unknown", "2026-01-02T23:00:00Z"), age: 3 * time.Minute, reason: "NodeUnreachable"},
		{name: "another node is lost", node: nodeWith("node-2", "Unknown", beat), age: time.Hour},
		{name: "the guest is paused", node: nodeWith("node-1", "Unknown", beat), age: 3 * time.Minute, reason: "NodeUnreachable",
			with: func(w *world) { w.report(virtv1.Running, corev1.ConditionFalse) }},
		{name: "the guest has not started", node: nodeWith("node-1", "Unknown", beat), age: time.Hour,
			with: func(w *world) { w.report(virtv1.Scheduling, corev1.ConditionFalse) }},
		{name: "the guest has ended", node: nodeWith("node-1", "Unknown", beat), age: 20 * time.Second, again: 10 * time.Second,
			with: func(w *world) {
				vmi := w.vmi()
				conclude(&vmi.Status, ending{phase: virtv1.Failed, message: "ended"}, "", metav1.NewTime(noon))
				if err := w.client.Status().Update(w.t.Context(), vmi); err != nil {
					w.t.Fatal(err)
				}
			}},
		{name: "the instance is deleted", node: nodeWith("node-1", "Unknown", beat), age: 3 * time.Minute, reason: "NodeUnreachable",
			with: func(w *world) {
				if err := w.client.Delete(w.t.Context(), w.vmi()); err != nil {
					w.t.Fatal(err)
				}
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := runs(t)
			if tc.with != nil {
				tc.with(w)
			}
			w.setNode(tc.node)
			w.reconcile()
			before := w.vmi()
			w.told()
			w.clock.SetTime(noon.Add(tc.age))
			result := w.reconcile()
			if tc.reason == "" {
				if diff := cmp.Diff(before.Status, w.vmi().Status); diff != "" {
					t.Errorf("the status changed: %s", diff)
				}
				if result.RequeueAfter != tc.again {
					t.Errorf("looked at again in %v", result.RequeueAfter)
				}
				return
			}
			vmi := w.vmi()
			c := conditionOf(&vmi.Status, "Ready")
			if c == nil || c.Status != "False" || c.Reason != tc.reason || vmi.Status.Phase != virtv1.Running {
				t.Fatalf("phase %s, ready %+v", vmi.Status.Phase, c)
			}
			for _, want := range []string{"node node-1 does not answer", "the guest may still run", "kubectl delete node node-1", "kubectl taint node node-1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"} {
				if !strings.Contains(c.Message, want) {
					t.Errorf("message lacks %q: %s", want, c.Message)
				}
			}
			if beat := tc.node.Annotations["kubevirt.io/heartbeat"]; !strings.Contains(c.Message, beat) {
				t.Errorf("message does not tell the heartbeat: %s", c.Message)
			}
			w.reconcile()
			if told := w.told(); strings.Count(told, "Warning NodeUnreachable node node-1 does not answer") != 1 {
				t.Errorf("events: %s", told)
			}
			if again := w.vmi(); again.ResourceVersion != vmi.ResourceVersion {
				t.Error("the status is written again although nothing has changed")
			}
		})
	}
}

// TestAgentIsBack leaves the word to an agent that is heard again, whatever becomes of the node.
func TestAgentIsBack(t *testing.T) {
	w := runs(t)
	w.setNode(nodeWith("node-1", "Unknown", "first"))
	w.reconcile()
	w.clock.SetTime(noon.Add(3 * time.Minute))
	w.reconcile()
	if !unreachable(&w.vmi().Status) {
		t.Fatal("the agent is not held for silent")
	}
	w.setNode(nodeWith("node-1", "Unknown", "second"))
	if result := w.reconcile(); result.RequeueAfter != 3*time.Minute || !unreachable(&w.vmi().Status) {
		t.Errorf("before the agent has spoken: %+v, looked at again in %v", w.vmi().Status.Conditions, result.RequeueAfter)
	}
	w.report(virtv1.Running, corev1.ConditionTrue)
	w.reconcile()
	w.setNode(nodeWith("node-1", "True", "second"))
	w.clock.SetTime(noon.Add(time.Hour))
	if result := w.reconcile(); result.RequeueAfter != 0 {
		t.Errorf("looked at again in %v", result.RequeueAfter)
	}
	if c := conditionOf(&w.vmi().Status, "Ready"); c.Status != "True" || w.writes != 1 {
		t.Errorf("ready %+v after %d writes", c, w.writes)
	}
}

// TestAgentAnswersWithoutHeartbeats is an agent that reaches our API and not its Node, so that it is held for silent and says
// each time that it is not.
func TestAgentAnswersWithoutHeartbeats(t *testing.T) {
	w := runs(t)
	w.setNode(nodeWith("node-1", "Unknown", "first"))
	w.reconcile()
	for at := 3 * time.Minute; at < 9*time.Minute; at += time.Second {
		w.clock.SetTime(noon.Add(at))
		w.reconcile()
		w.report(virtv1.Running, corev1.ConditionTrue)
	}
	if w.writes != 2 {
		t.Errorf("spoke %d times for an agent that answers, want once in three minutes", w.writes)
	}
}

// TestNodeEvents looks at the instances of lost nodes only.
func TestNodeEvents(t *testing.T) {
	var objects []client.Object
	for name, node := range map[string]string{"a": "lost", "b": "lost", "c": "well", "d": ""} {
		vmi := pending()
		vmi.Name, vmi.Status.NodeName = name, node
		objects = append(objects, vmi)
	}
	w := newWorld(t, objects...)
	lists := 0
	w.r.Client = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			lists++
			return c.List(ctx, list, opts...)
		},
	})
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	queued := func() []string {
		var names []string
		for q.Len() > 0 {
			req, _ := q.Get()
			names = append(names, req.Name)
			q.Done(req)
		}
		slices.Sort(names)
		return names
	}
	on := w.r.onNodes()
	well, gone := nodeWith("well", "True", "1"), nodeWith("lost", "Unknown", "1")
	on.Create(t.Context(), event.CreateEvent{Object: well}, q)
	on.Update(t.Context(), event.UpdateEvent{ObjectOld: nodeWith("well", "Unknown", "0"), ObjectNew: well}, q)
	if names := queued(); lists != 0 || len(names) != 0 {
		t.Errorf("a heartbeat of a node that is well costs %d lists and looks at %v", lists, names)
	}
	on.Create(t.Context(), event.CreateEvent{Object: gone}, q)
	if diff := cmp.Diff([]string{"a", "b"}, queued()); diff != "" {
		t.Error(diff)
	}
	on.Update(t.Context(), event.UpdateEvent{ObjectOld: nodeWith("lost", "True", "1"), ObjectNew: gone}, q)
	if diff := cmp.Diff([]string{"a", "b"}, queued()); diff != "" {
		t.Error(diff)
	}
	on.Delete(t.Context(), event.DeleteEvent{Object: gone}, q)
	if names := queued(); len(names) != 0 || len(w.r.agents.nodes) != 1 {
		t.Errorf("a node that is gone: looks at %v, remembers %d nodes", names, len(w.r.agents.nodes))
	}
}

func TestTrimNode(t *testing.T) {
	node := nodeWith("node-1", "True", "beat")
	node.Spec.Taints = []corev1.Taint{{Key: "k"}}
	want := node.DeepCopy()
	node.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	node.Status.Images = []corev1.ContainerImage{{Names: []string{"image"}}}
	got, err := TrimNode(node)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := TrimNode(ctrl.Request{}); err != nil {
		t.Error(err)
	}
}
