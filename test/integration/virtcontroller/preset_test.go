package virtcontroller

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestPreset has a preset applied to an instance of a user, and to one that virt-controller makes for a machine.
func TestPreset(t *testing.T) {
	ns := newNamespace(t)
	client := env.virt.KubevirtV1()
	add := func(text string) {
		t.Helper()
		if _, err := client.VirtualMachineInstancePresets(ns).Create(t.Context(), parse[virtv1.VirtualMachineInstancePreset](t, text), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	add(`{metadata: {name: big}, spec: {selector: {matchLabels: {flavor: big}}, domain: {cpu: {cores: 2}, resources: {requests: {memory: 96Mi}}}}}`)
	const bare = `{metadata: {name: bare, labels: {flavor: big}}, spec: {domain: {devices: {autoattachPodInterface: false}}}}`
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	await(t, "the preset is applied", func() bool {
		vmi, err := client.VirtualMachineInstances(ns).Create(t.Context(), parse[virtv1.VirtualMachineInstance](t, bare), dry)
		return err == nil && vmi.Annotations["virtualmachinepreset.kubevirt.io/big"] == "kubevirt.io/v1" && vmi.Spec.Domain.CPU.Cores == 2 && vmi.Spec.Domain.Memory.Guest.String() == "96Mi"
	})

	own, err := client.VirtualMachineInstances(ns).Create(t.Context(), parse[virtv1.VirtualMachineInstance](t,
		`{metadata: {name: own, labels: {flavor: big}}, spec: {domain: {cpu: {cores: 3}, devices: {autoattachPodInterface: false}}}}`), dry)
	if err != nil {
		t.Fatal(err)
	}
	if own.Spec.Domain.CPU.Cores != 3 || !env.warnings.contain("Some settings were not applied for VirtualMachineInstancePreset 'big': the instance has its own domain.cpu") {
		t.Errorf("CPU %+v, warnings %v", own.Spec.Domain.CPU, env.warnings.all)
	}

	vm := parse[virtv1.VirtualMachine](t, `{metadata: {name: machine}, spec: {runStrategy: Always, template: {metadata: {labels: {flavor: big}},
		spec: {domain: {devices: {autoattachPodInterface: false}, memory: {guest: 64Mi}}}}}}`)
	if _, err := client.VirtualMachines(ns).Create(t.Context(), vm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "the machine's instance has what the preset gives", func() bool {
		vmi, err := client.VirtualMachineInstances(ns).Get(t.Context(), "machine", metav1.GetOptions{})
		return err == nil && vmi.Spec.Domain.CPU.Cores == 2 && vmi.Annotations["virtualmachinepreset.kubevirt.io/big"] != ""
	})

	add(`{metadata: {name: bigger}, spec: {selector: {matchLabels: {flavor: big}}, domain: {cpu: {cores: 8}}}}`)
	await(t, "two presets contradict each other", func() bool {
		_, err := client.VirtualMachineInstances(ns).Create(t.Context(), parse[virtv1.VirtualMachineInstance](t, bare), dry)
		return apierrors.IsInvalid(err) && strings.Contains(err.Error(), "presets 'bigger' and 'big' conflict: domain.cpu")
	})
}
