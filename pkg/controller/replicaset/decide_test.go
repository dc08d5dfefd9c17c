package replicaset

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestWhatIsGivenUpFirst scales a set down one by one: what serves longest is what is left.
func TestWhatIsGivenUpFirst(t *testing.T) {
	member := func(name string, phase virtv1.VirtualMachineInstancePhase, ready corev1.ConditionStatus, age time.Duration) virtv1.VirtualMachineInstance {
		vmi := virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(noon.Add(-age))}}
		vmi.Status.Phase = phase
		vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstanceReady, Status: ready}}
		return vmi
	}
	members := []virtv1.VirtualMachineInstance{
		member("old", virtv1.Running, corev1.ConditionTrue, time.Hour),
		member("waits", virtv1.Scheduling, corev1.ConditionFalse, 2*time.Hour),
		member("silent", virtv1.Running, corev1.ConditionFalse, 2*time.Hour),
		member("young", virtv1.Running, corev1.ConditionTrue, time.Minute),
		member("twin", virtv1.Running, corev1.ConditionTrue, time.Minute),
		member("begins", virtv1.Scheduled, corev1.ConditionFalse, time.Minute),
	}
	order := []string{"waits", "begins", "silent", "young", "twin", "old"}
	for n := range len(order) {
		p := decide(newSet(int32(len(order)-n)), members, noon)
		if diff := cmp.Diff(order[:n], append([]string{}, namesOf(p.remove)...)); diff != "" {
			t.Errorf("%d too many: removed (-want +got):\n%s", n, diff)
		}
	}
}
