package vm

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestOrphanedInstance deletes a machine as kubectl delete --cascade=orphan does. The garbage collector takes the owner off the
// instance and its finalizer off the machine, at any moment: the instance lives in each case.
func TestOrphanedInstance(t *testing.T) {
	disown := func(w *world) {
		w.t.Helper()
		vmi := w.vmi()
		vmi.OwnerReferences = nil
		if err := w.server.Update(w.t.Context(), vmi); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name string
		// before is what the collector has done when the controller looks; stale says that the controller's cache shows
		// the instance as it was.
		finalizers []string
		before     func(*world)
		stale      bool
	}{
		{name: "the collector has not begun", finalizers: []string{metav1.FinalizerOrphanDependents}, before: func(*world) {}},
		{name: "it has taken the owner off", finalizers: []string{metav1.FinalizerOrphanDependents}, before: disown},
		{name: "it is through", before: disown},
		{name: "it is through and the cache is behind", before: disown, stale: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm := machine(virtv1.RunStrategyAlways)
			vm.Finalizers = append(tc.finalizers, virtv1.VirtualMachineControllerFinalizer)
			w := newWorld(t, vm)
			w.reconcile()
			if err := w.server.Delete(t.Context(), w.vm()); err != nil {
				t.Fatal(err)
			}
			old := w.vmi()
			tc.before(w)
			cache := w.r.Client
			if tc.stale {
				w.r.Client = interceptor.NewClient(w.server, interceptor.Funcs{
					Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
						if vmi, ok := o.(*virtv1.VirtualMachineInstance); ok {
							old.DeepCopyInto(vmi)
							return nil
						}
						return c.Get(ctx, k, o, opts...)
					},
				})
				if result := w.reconcile(); result.RequeueAfter != time.Second {
					t.Errorf("looked at again in %v", result.RequeueAfter)
				}
				w.r.Client = cache
			}
			w.reconcile()
			if vmi := w.vmi(); vmi == nil || vmi.DeletionTimestamp != nil {
				t.Errorf("the instance is %+v", vmi)
			}
			var left virtv1.VirtualMachine
			switch err := w.server.Get(t.Context(), key, &left); {
			case apierrors.IsNotFound(err) && len(tc.finalizers) == 0:
			case err != nil:
				t.Errorf("the machine is gone although the collector is not through: %v", err)
			case len(left.Finalizers) != len(tc.finalizers):
				t.Errorf("the machine has finalizers %v", left.Finalizers)
			}
		})
	}
}
