package vmi

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestPodHasTheGuestsTime deletes an instance: its pod has the guest's grace period, and what the launcher needs beyond that to
// end a guest that does not power down.
func TestPodHasTheGuestsTime(t *testing.T) {
	for _, tc := range []struct {
		name  string
		grace *int64
		phase corev1.PodPhase
		want  int64
	}{
		{"the guest's own", ptr.To(int64(100)), corev1.PodRunning, 115},
		{"none at all", ptr.To(int64(0)), corev1.PodRunning, 15},
		{"the default", nil, corev1.PodRunning, 45},
		{"its pod has ended", ptr.To(int64(100)), corev1.PodSucceeded, 0},
		{"its pod has failed", ptr.To(int64(100)), corev1.PodFailed, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, pending())
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) {
				p.Finalizers = []string{"test/stays"}
				p.Status.Phase = tc.phase
			})
			vmi := w.vmi()
			// A stop that gives the guest another time than its pod was made for writes it into the instance.
			vmi.Spec.TerminationGracePeriodSeconds = tc.grace
			if err := w.client.Update(t.Context(), vmi); err != nil {
				t.Fatal(err)
			}
			if err := w.client.Delete(t.Context(), w.vmi()); err != nil {
				t.Fatal(err)
			}
			var told []int64
			w.r.Client = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
				Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
					options := (&client.DeleteOptions{}).ApplyOptions(opts)
					told = append(told, ptr.Deref(options.GracePeriodSeconds, -1))
					return c.Delete(ctx, o, opts...)
				},
			})
			w.reconcile()
			w.reconcile()
			if len(told) != 1 || told[0] != tc.want {
				t.Errorf("deleted with %v seconds, want once with %d", told, tc.want)
			}
		})
	}
}
