package nodestatus

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
)

const waitFor = 20 * time.Second

func setup(t *testing.T) (*fake.Clientset, *Node, *clocktesting.FakeClock) {
	t.Helper()
	client := fake.NewClientset(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node1", Labels: map[string]string{"kubernetes.io/os": "linux"}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	})
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	return client, New(client, "node1", clock), clock
}

func node(t *testing.T, client *fake.Clientset) *corev1.Node {
	t.Helper()
	n, err := client.CoreV1().Nodes().Get(context.Background(), "node1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(waitFor); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting until %s", what)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	client, n, clock := setup(t)
	var healthy atomic.Bool
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Heartbeat(ctx, func() error {
			if healthy.Load() {
				return nil
			}
			return errors.New("the kubelet knows no device yet")
		})
	}()
	label := func() string { return node(t, client).Labels["kubevirt.io/schedulable"] }
	// step lets the heart look once, after so long.
	step := func(d time.Duration) {
		t.Helper()
		await(t, "it waits", clock.HasWaiters)
		clock.Step(d)
		await(t, "it waits again", clock.HasWaiters)
	}
	step(29 * time.Second)
	if got := label(); got != "" {
		t.Errorf("label %q of an agent that starts", got)
	}
	step(time.Second)
	if got := label(); got != "false" {
		t.Errorf("label %q of an agent that does not get ready", got)
	}
	healthy.Store(true)
	step(time.Second)
	if got, want := node(t, client).Annotations["kubevirt.io/heartbeat"], "2026-11-22T12:00:31Z"; label() != "true" || got != want {
		t.Errorf("label %q, heartbeat %q, want %q", label(), got, want)
	}
	step(10 * time.Second)
	if got, want := node(t, client).Annotations["kubevirt.io/heartbeat"], "2026-11-22T12:00:31Z"; got != want {
		t.Errorf("heartbeat %q, want %q", got, want)
	}
	step(2 * time.Minute)
	if got, want := node(t, client).Annotations["kubevirt.io/heartbeat"], "2026-11-22T12:02:41Z"; got != want {
		t.Errorf("heartbeat %q, want %q", got, want)
	}
	cancel()
	<-done
	if label() != "false" {
		t.Error("the node is schedulable without an agent")
	}
	if diff := cmp.Diff(map[string]string{"kubernetes.io/os": "linux", "kubevirt.io/schedulable": "false"}, node(t, client).Labels); diff != "" {
		t.Error(diff)
	}
}

func TestCondition(t *testing.T) {
	client, n, clock := setup(t)
	var failures atomic.Int32
	client.PrependReactor("patch", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return failures.Add(1) == 1, nil, errors.New("the API is away")
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Condition(context.Background(), false, "TooSlow", "a loop took 4 s")
	}()
	await(t, "it tries again", clock.HasWaiters)
	clock.Step(5 * time.Second)
	<-done
	now := metav1.NewTime(clock.Now())
	want := []corev1.NodeCondition{
		{Type: "KVMUsable", Status: "False", Reason: "TooSlow", Message: "a loop took 4 s", LastHeartbeatTime: now, LastTransitionTime: now},
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue},
	}
	if diff := cmp.Diff(want, node(t, client).Status.Conditions); diff != "" {
		t.Error(diff)
	}
}
