package preset

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// many gives n presets of which each asks for as many cores as cores says.
func many(n int, cores func(i int) uint32) []*virtv1.VirtualMachineInstancePreset {
	var out []*virtv1.VirtualMachineInstancePreset
	for i := range n {
		out = append(out, &virtv1.VirtualMachineInstancePreset{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%04d", i)},
			Spec: virtv1.VirtualMachineInstancePresetSpec{
				Selector: metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
				Domain:   &virtv1.DomainSpec{CPU: &virtv1.CPU{Cores: cores(i)}},
			},
		})
	}
	return out
}

func selected() *virtv1.VirtualMachineInstance {
	return &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}}
}

// TestManyPresets bounds what the presets of a namespace cost whoever creates an instance in it.
func TestManyPresets(t *testing.T) {
	same := func(int) uint32 { return 2 }
	each := func(i int) uint32 { return uint32(i + 1) }
	if _, err := Apply(selected(), many(MaxPresets, same)); err != nil {
		t.Errorf("as many as may be: %v", err)
	}
	for _, n := range []int{MaxPresets + 1, 1000} {
		if _, err := Apply(selected(), many(n, same)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d VirtualMachineInstancePresets select the instance, and at most 100 may", n)) {
			t.Errorf("%d presets: %v", n, err)
		}
	}
	_, err := Apply(selected(), many(MaxPresets, each))
	if err == nil || strings.Count(err.Error(), " conflict: ") != maxContradictions || len(err.Error()) > 1024 {
		t.Errorf("contradictions are told as %v", err)
	}
	work := func(n int) float64 {
		presets := many(n, same)
		return testing.AllocsPerRun(5, func() {
			if _, err := Apply(selected(), presets); err != nil {
				t.Fatal(err)
			}
		})
	}
	if half, whole := work(MaxPresets/2), work(MaxPresets); whole > 2.5*half {
		t.Errorf("%.0f allocations for half as many presets and %.0f for all: more than in proportion", half, whole)
	}
}
