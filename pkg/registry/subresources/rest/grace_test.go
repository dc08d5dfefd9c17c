package rest_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/virtualmachine/actions"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
)

// TestGraceIsNotTheSuccessors stops an instance that is replaced while the action is on its way: the new one keeps its time to
// power down, and is not stopped.
func TestGraceIsNotTheSuccessors(t *testing.T) {
	f := start(t)
	f.machine("a", virtv1.VirtualMachineSpec{RunStrategy: "Always"})
	uid := f.instance("a", virtv1.Running, nil)
	client := f.Client(registrytest.Admin).KubevirtV1().VirtualMachineInstances("default")
	replace := func() {
		if err := client.Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		old, err := client.Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		old.Finalizers = nil
		if _, err := client.Update(t.Context(), old, metav1.UpdateOptions{}); err != nil {
			t.Error(err)
		}
		if next := f.instance("a", virtv1.Running, nil); next == uid {
			t.Errorf("the successor has uid %s too", next)
		}
	}
	// An action reads the instance, then the machine, and then writes the grace period.
	machines := *f.Stores.VirtualMachines.Store
	var once sync.Once
	machines.Decorator = func(runtime.Object) { once.Do(replace) }
	a := actions.New(f.Scheme, &machines, f.Stores.VirtualMachineInstances.Store, f.Stores.Environment)
	ctx := genericapirequest.WithNamespace(context.WithoutCancel(t.Context()), "default")
	err := a.Stop(ctx, "a", &virtv1.StopOptions{GracePeriod: ptr.To(int64(0))})
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "the instance was replaced meanwhile") {
		t.Errorf("Stop: %v", err)
	}
	vmi, err := client.Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if g := vmi.Spec.TerminationGracePeriodSeconds; ptr.Deref(g, -1) != 30 {
		t.Errorf("Grace period of the successor is %v, want 30", ptr.Deref(g, -1))
	}
	if s := f.get("a").Spec.RunStrategy; s != "Always" {
		t.Errorf("Run strategy is %s although the stop was refused", s)
	}
}
