package validation

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// TestProbeTimes warns, and only warns, of a timeout that is not less than the period.
func TestProbeTimes(t *testing.T) {
	spec.Covers(t, "P4-PROBE-11")
	n := func(i int32) *int32 { return &i }
	for name, tc := range map[string]struct {
		period, timeout *int32
		warned          bool
	}{
		"defaults":                     {nil, nil, false},
		"zeros are defaults":           {n(0), n(0), false},
		"timeout below":                {n(20), n(10), false},
		"timeout as the period":        {n(10), n(10), true},
		"timeout as the default":       {nil, n(10), true},
		"timeout above":                {n(5), n(6), true},
		"period as the least timeout":  {n(1), nil, true},
		"period above that":            {n(2), nil, false},
		"refused for another reason":   {n(-1), nil, true},
		"refused timeout, period fine": {n(3), n(-1), false},
	} {
		t.Run(name, func(t *testing.T) {
			probe := &virtv1.Probe{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}, PeriodSeconds: tc.period, TimeoutSeconds: tc.timeout}
			vmi := &virtv1.VirtualMachineInstance{}
			vmi.Spec.ReadinessProbe = probe
			vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{Spec: vmi.Spec}}}
			for where, warnings := range map[string][]string{
				"spec.readinessProbe.timeoutSeconds":               VirtualMachineInstanceWarnings(vmi, Options{}),
				"spec.template.spec.readinessProbe.timeoutSeconds": VirtualMachineWarnings(vm, Options{}),
			} {
				if got := strings.Contains(strings.Join(warnings, "\n"), where+": is "); got != tc.warned {
					t.Errorf("warned: %v, want %v: %q", got, tc.warned, warnings)
				}
			}
			if got := VirtualMachineInstanceWarnings(vmi, Options{Trusted: true}); len(got) > 0 {
				t.Errorf("a component is told %q", got)
			}
		})
	}
}
