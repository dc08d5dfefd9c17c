package vm

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestStopMissesTheSuccessor stops an instance that the cache still shows, after another one has taken its place.
func TestStopMissesTheSuccessor(t *testing.T) {
	w := newWorld(t, machine(virtv1.RunStrategyAlways))
	w.reconcile()
	old := w.vmi()
	w.letGo()
	if err := w.server.Delete(t.Context(), w.vmi()); err != nil {
		t.Fatal(err)
	}
	successor := old.DeepCopy()
	successor.UID, successor.ResourceVersion = "successor", ""
	if err := w.server.Create(t.Context(), successor); err != nil {
		t.Fatal(err)
	}
	vm := w.vm()
	vm.Spec.RunStrategy = virtv1.RunStrategyHalted
	if err := w.server.Update(t.Context(), vm); err != nil {
		t.Fatal(err)
	}
	w.r.Client = interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if vmi, ok := o.(*virtv1.VirtualMachineInstance); ok {
				old.DeepCopyInto(vmi)
				return nil
			}
			return c.Get(ctx, k, o, opts...)
		},
		// The fake server heeds no UID in preconditions, real ones do.
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			options := (&client.DeleteOptions{}).ApplyOptions(opts)
			if p := options.Preconditions; p != nil && p.UID != nil && *p.UID != successor.UID {
				return apierrors.NewConflict(virtv1.Resource("virtualmachineinstances"), o.GetName(), nil)
			}
			return c.Delete(ctx, o)
		},
	})
	w.reconcile()
	if vmi := w.vmi(); vmi == nil || vmi.DeletionTimestamp != nil {
		t.Errorf("the successor is %+v", vmi)
	}
}
