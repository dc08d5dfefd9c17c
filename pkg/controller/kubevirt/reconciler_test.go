package kubevirt

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestSummarize(t *testing.T) {
	full := []component{{"Deployment", "virt-api", 2, 1, true}, {"Deployment", "virt-controller", 2, 1, true}, {"DaemonSet", "virt-handler", 2, 2, true}}
	for _, tc := range []struct {
		name       string
		before     virtv1.KubeVirtPhase
		components []component
		phase      virtv1.KubeVirtPhase
		conditions map[virtv1.KubeVirtConditionType]string
	}{
		{"complete", "", full, "Deployed", map[virtv1.KubeVirtConditionType]string{"Created": "True", "Available": "True", "Degraded": "False", "Progressing": "False"}},
		{"a node's agent is missing at first", "", []component{full[0], full[1], {"DaemonSet", "virt-handler", 1, 2, true}}, "Deploying",
			map[virtv1.KubeVirtConditionType]string{"Created": "True", "Available": "False", "Degraded": "False", "Progressing": "True"}},
		{"a node's agent is missing later", "Deployed", []component{full[0], full[1], {"DaemonSet", "virt-handler", 1, 2, true}}, "Deployed",
			map[virtv1.KubeVirtConditionType]string{"Created": "True", "Available": "False", "Degraded": "True", "Progressing": "True"}},
		{"nothing there", "", nil, "Deploying", map[virtv1.KubeVirtConditionType]string{"Created": "False", "Available": "False", "Degraded": "False", "Progressing": "True"}},
		{"upgrade", "Deployed", []component{{"Deployment", "virt-api", 2, 1, false}, full[1], full[2]}, "Deployed",
			map[virtv1.KubeVirtConditionType]string{"Created": "True", "Available": "True", "Degraded": "False", "Progressing": "True"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Reconciler{Clock: testclock.NewFakePassiveClock(time.Unix(0, 0)), Version: "v1.0.0"}
			kv := &virtv1.KubeVirt{Status: virtv1.KubeVirtStatus{Phase: tc.before}}
			got := r.summarize(kv, tc.components)
			conditions := map[virtv1.KubeVirtConditionType]string{}
			for _, c := range got.Conditions {
				conditions[c.Type] = string(c.Status)
			}
			if got.Phase != tc.phase {
				t.Errorf("phase %s, want %s", got.Phase, tc.phase)
			}
			if diff := cmp.Diff(tc.conditions, conditions); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			kv.Status = got
			if diff := cmp.Diff(got, r.summarize(kv, tc.components)); diff != "" {
				t.Errorf("not stable (-first +second):\n%s", diff)
			}
		})
	}
}
