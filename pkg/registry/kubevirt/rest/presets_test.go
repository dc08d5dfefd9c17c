package rest_test

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
)

// TestPresets creates instances beside presets of their namespace: what a preset adds is there in the same write, with the
// defaults that follow from it.
func TestPresets(t *testing.T) {
	s := registrytest.Start(t)
	ctx := t.Context()
	client := s.Client(registrytest.Admin).KubevirtV1()
	presets, instances := client.VirtualMachineInstancePresets("default"), client.VirtualMachineInstances("default")
	add := func(name, text string) {
		t.Helper()
		p := &virtv1.VirtualMachineInstancePreset{}
		if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
			t.Fatal(err)
		}
		p.Name = name
		if _, err := presets.Create(ctx, p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// The cache of presets may be a moment behind.
	eventually := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waiting until %s", what)
			}
		}
	}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

	add("big", `{spec: {selector: {matchLabels: {flavor: big}}, domain: {cpu: {cores: 4}, resources: {requests: {memory: 1Gi}}}}}`)
	const labelled = `{metadata: {name: a, labels: {flavor: big}}, spec: {domain: {devices: {}}}}`
	var got *virtv1.VirtualMachineInstance
	eventually("the preset is applied", func() (ok bool) {
		var err error
		got, err = instances.Create(ctx, parse(t, labelled), dry)
		return err == nil && got.Annotations["virtualmachinepreset.kubevirt.io/big"] == "kubevirt.io/v1"
	})
	if c, m := got.Spec.Domain.CPU, got.Spec.Domain.Memory; c.Cores != 4 || c.Sockets != 1 || m.Guest.String() != "1Gi" {
		t.Errorf("CPU %+v, memory %+v", c, m)
	}
	if other, err := instances.Create(ctx, parse(t, `{metadata: {name: b, labels: {flavor: small}}, spec: {domain: {memory: {guest: 64Mi}}}}`), dry); err != nil || len(other.Annotations) != 0 || other.Spec.Domain.CPU.Cores != 1 {
		t.Errorf("an instance of another flavour: %+v, %v", other, err)
	}

	add("bigger", `{spec: {selector: {matchLabels: {flavor: big}}, domain: {cpu: {cores: 8}}}}`)
	eventually("two presets contradict each other", func() bool {
		_, err := instances.Create(ctx, parse(t, labelled), dry)
		return apierrors.IsInvalid(err) && strings.Contains(err.Error(), "metadata.labels") &&
			strings.Contains(err.Error(), "presets 'bigger' and 'big' conflict: domain.cpu")
	})
	excluded := parse(t, labelled)
	excluded.Annotations = map[string]string{"virtualmachineinstancepresets.admission.kubevirt.io/exclude": "true"}
	guest := got.Spec.Domain.Memory.Guest
	excluded.Spec.Domain.Memory = &virtv1.Memory{Guest: guest}
	if vmi, err := instances.Create(ctx, excluded, metav1.CreateOptions{}); err != nil || vmi.Spec.Domain.CPU.Cores != 1 {
		t.Errorf("an excluded instance: %+v, %v", vmi, err)
	}
}
