package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// templateHashAnnotation records on an instance which template it was made from, so that a later edit is seen as one that
// needs a restart (rows P2-STATE-14, P2-X-09).
const templateHashAnnotation = "virtplane.io/template-hash"

func metaTime(t time.Time) metav1.Time { return metav1.NewTime(t) }

// instance renders the VirtualMachineInstance of a machine.
func instance(vm *virtv1.VirtualMachine, paused bool) (*virtv1.VirtualMachineInstance, error) {
	hash, err := templateHash(vm)
	if err != nil {
		return nil, err
	}
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{
		Name: vm.Name, Namespace: vm.Namespace,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(vm, virtv1.SchemeGroupVersion.WithKind("VirtualMachine"))},
		Labels:          map[string]string{}, Annotations: map[string]string{},
	}}
	if t := vm.Spec.Template; t != nil {
		maps.Copy(vmi.Labels, t.ObjectMeta.Labels)
		maps.Copy(vmi.Annotations, t.ObjectMeta.Annotations)
		vmi.Spec = *t.Spec.DeepCopy()
	}
	attachInput(&vmi.Spec.Domain.Devices)
	vmi.Annotations[virtv1.VirtualMachineGeneration] = fmt.Sprint(vm.Generation)
	vmi.Annotations[templateHashAnnotation] = hash
	if paused {
		vmi.Spec.StartStrategy = ptr.To(virtv1.StartStrategyPaused)
	}
	return vmi, nil
}

// attachInput gives a machine that asks for a pointer and names none the one that pointers in consoles go by.
func attachInput(d *virtv1.Devices) {
	if ptr.Deref(d.AutoattachInputDevice, false) && len(d.Inputs) == 0 {
		d.Inputs = []virtv1.Input{{Name: "default-0", Bus: virtv1.DefaultInputBus, Type: virtv1.DefaultInputType}}
	}
}

func templateHash(vm *virtv1.VirtualMachine) (string, error) {
	raw, err := json.Marshal(vm.Spec.Template)
	if err != nil {
		return "", fmt.Errorf("hashing spec.template: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8]), nil
}
