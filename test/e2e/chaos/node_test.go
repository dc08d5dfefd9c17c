package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// TestLostNode stops what makes a node of a machine and ends its guest, as when its power fails. Nothing may take the guest's
// place until its administrator says that the node is gone, by deleting it; then the machine must run on another node.
func TestLostNode(t *testing.T) {
	s := newSite(t)
	home, lost := s.store(t).node, ""
	for _, name := range s.Nodes(t) {
		if name != home {
			lost = name // the store has one member, which lives where it was born
		}
	}
	if lost == "" {
		t.Fatal("needs two nodes at least")
	}
	there := harness.Instance{Null: true, Extra: `
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - {weight: 100, preference: {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [` + lost + `]}]}}
`}
	s.Apply(t, s.ns, there.VM("moves", "Always"))
	s.Apply(t, s.ns, there.VM("reruns", "RerunOnFailure"))
	other := s.WaitVMI(t, s.ns, "reruns", "running", harness.BootLimit, harness.Running)
	first := s.WaitVMI(t, s.ns, "moves", "running", harness.BootLimit, harness.Running)
	for _, vmi := range []*virtv1.VirtualMachineInstance{first, other} {
		if vmi.Status.NodeName != lost {
			t.Fatalf("%s runs on %s, which it does not prefer", vmi.Name, vmi.Status.NodeName)
		}
	}
	node, err := s.Kube.CoreV1().Nodes().Get(t.Context(), lost, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	onLost := func(command ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := s.local.Exec(context.WithoutCancel(t.Context()), lost, command, nil, &out); err != nil {
			t.Errorf("%v on %s: %v\n%s", command, lost, err, out.String())
		}
	}
	defer func() { s.restore(t, lost, node.Labels, node.Spec.PodCIDR, onLost) }()
	onLost("pkill", "-STOP", "-x", "kubelet")
	onLost("pkill", "-STOP", "-x", "virt-handler")
	onLost("pkill", "-KILL", "-f", "^/?[a-z/]*qemu-system-x86_64 ")

	time.Sleep(10 * time.Second)
	vmi, err := s.Virt.KubevirtV1().VirtualMachineInstances(s.ns).Get(t.Context(), "moves", metav1.GetOptions{})
	if err != nil || vmi.UID != first.UID || vmi.Status.Phase != virtv1.Running {
		t.Errorf("before anybody says that the node is gone, the instance is %s with phase %s, %v", vmi.UID, vmi.Status.Phase, err)
	}
	if err := s.Kube.CoreV1().Nodes().Delete(t.Context(), lost, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, old := range []*virtv1.VirtualMachineInstance{first, other} {
		second := s.WaitVMI(t, s.ns, old.Name, "running on another node", 5*time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
			return harness.Running(vmi) && vmi.UID != old.UID
		})
		if second.Status.NodeName == lost {
			t.Errorf("%s runs on %s, which is gone", old.Name, lost)
		}
	}
	spec.Covers(t, "P1-RUN-07", "P1-PLAN-19", "P1-PLAN-21", "P2-NODEFAIL-02")
}

// restore gives a lost node back to the cluster: its kubelet starts anew and makes the node, which gets what it had.
func (s *site) restore(t *testing.T, name string, labels map[string]string, podCIDR string, on func(...string)) {
	t.Helper()
	on("pkill", "-KILL", "-x", "virt-handler")
	if err := s.local.Kill(name, "kubelet"); err != nil {
		t.Errorf("starting the kubelet of %s anew: %v", name, err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"podCIDR": podCIDR, "podCIDRs": []string{podCIDR}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), backLimit)
	defer cancel()
	err = poll(ctx, "the node to be back", func() error {
		_, err := s.Kube.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("the kubelet has not made node %s: %w", name, err)
		}
		return err
	})
	if err == nil {
		err = s.waitWhole(ctx, backLimit)
	}
	if err != nil {
		t.Error(err)
	}
}
