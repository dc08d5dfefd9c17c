package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPulls(t *testing.T) {
	event := func(kind, reason, message string) corev1.Event {
		return corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: kind, Name: "a"}, Reason: reason, Message: message}
	}
	present := event("Pod", "Pulled", `Container image "guest:devel" already present on machine and can be accessed by the pod`)
	pulled := event("Pod", "Pulled", `Successfully pulled image "guest:devel" in 1.2s (1.2s including waiting). Image size: 5 bytes.`)
	for _, tc := range []struct {
		name   string
		events []corev1.Event
		want   string
	}{
		{"all there", []corev1.Event{event("Pod", "Scheduled", "assigned"), present, present}, "<nil>"},
		{"one pulled", []corev1.Event{present, pulled}, `the run is void, an image was pulled: pod a: Successfully pulled image "guest:devel"`},
		{"begun to pull", []corev1.Event{present, event("Pod", "Pulling", `Pulling image "guest:devel"`)}, `the run is void, an image was pulled: pod a: Pulling`},
		{"pulled for something else", []corev1.Event{present, event("DataVolume", "Pulled", "done")}, "<nil>"},
		{"nothing told", []corev1.Event{event("Pod", "Started", "Started container")}, "the run is void: no event tells"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fmt.Sprint(pulls(tc.events)); !strings.HasPrefix(got, tc.want) {
				t.Errorf("error %s, want %s", got, tc.want)
			}
		})
	}
}

func TestUsable(t *testing.T) {
	node := func(name string, ready corev1.ConditionStatus, change func(*corev1.NodeSpec)) corev1.Node {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse}, {Type: corev1.NodeReady, Status: ready}}
		if change != nil {
			change(&n.Spec)
		}
		return n
	}
	taint := func(effect corev1.TaintEffect) func(*corev1.NodeSpec) {
		return func(s *corev1.NodeSpec) { s.Taints = []corev1.Taint{{Key: "a", Effect: effect}} }
	}
	got := usable([]corev1.Node{
		node("node-2", corev1.ConditionTrue, nil),
		node("node-1", corev1.ConditionTrue, taint(corev1.TaintEffectPreferNoSchedule)),
		node("gone", corev1.ConditionUnknown, nil),
		node("cordoned", corev1.ConditionTrue, func(s *corev1.NodeSpec) { s.Unschedulable = true }),
		node("control-plane", corev1.ConditionTrue, taint(corev1.TaintEffectNoSchedule)),
	})
	if diff := cmp.Diff([]string{"node-1", "node-2"}, got); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}
