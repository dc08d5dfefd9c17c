package vmi

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func limitRange(name string, items ...corev1.LimitRangeItem) *corev1.LimitRange {
	return &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.LimitRangeSpec{Limits: items}}
}

// admitted does to a pod what the API does by its LimitRanges: it gives defaults, and says what is wrong.
func admitted(pod *corev1.Pod, item *corev1.LimitRangeItem) string {
	var wrong []string
	check := func(what string, requests, limits corev1.ResourceList) {
		for name, q := range item.Min {
			if r := requests[name]; r.Cmp(q) < 0 {
				wrong = append(wrong, what+" requests too little "+string(name)+": "+r.String())
			}
			if l, limited := limits[name]; limited && l.Cmp(q) < 0 {
				wrong = append(wrong, what+" has too low a limit of "+string(name)+": "+l.String())
			}
		}
		for name, q := range item.Max {
			l, limited := limits[name]
			if r := requests[name]; r.Cmp(q) > 0 || !limited || l.Cmp(q) > 0 {
				wrong = append(wrong, what+" has too much "+string(name)+": "+r.String()+" of "+l.String())
			}
		}
		for name, q := range item.MaxLimitRequestRatio {
			r, l := requests[name], limits[name]
			if r.IsZero() || l.AsApproximateFloat64() > r.AsApproximateFloat64()*q.AsApproximateFloat64()*1.000001 {
				wrong = append(wrong, what+" has too high a limit of "+string(name)+": "+r.String()+" of "+l.String())
			}
		}
	}
	requested, limited := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		for name, q := range item.Max {
			if _, there := c.Resources.Limits[name]; !there && item.Type == corev1.LimitTypeContainer {
				c.Resources.Limits[name] = q
			}
		}
		for name, q := range item.Default {
			if _, there := c.Resources.Limits[name]; !there {
				c.Resources.Limits[name] = q
			}
		}
		for name, l := range c.Resources.Limits {
			if _, there := c.Resources.Requests[name]; !there {
				c.Resources.Requests[name] = l
			}
			if r := c.Resources.Requests[name]; r.Cmp(l) > 0 {
				wrong = append(wrong, c.Name+" requests more "+string(name)+" than its limit: "+r.String()+" of "+l.String())
			}
		}
		for name, q := range c.Resources.Requests {
			sum := requested[name]
			sum.Add(q)
			requested[name] = sum
		}
		for name, q := range c.Resources.Limits {
			sum := limited[name]
			sum.Add(q)
			limited[name] = sum
		}
		if item.Type == corev1.LimitTypeContainer {
			check(c.Name, c.Resources.Requests, c.Resources.Limits)
		}
	}
	if item.Type == corev1.LimitTypePod {
		check("the pod", requested, limited)
	}
	return strings.Join(wrong, "; ")
}

// TestLimitRange has machines of namespaces with LimitRanges start, or be told which range does not let them.
func TestLimitRange(t *testing.T) {
	container := func(item corev1.LimitRangeItem) corev1.LimitRangeItem {
		item.Type = corev1.LimitTypeContainer
		return item
	}
	pods := func(item corev1.LimitRangeItem) corev1.LimitRangeItem {
		item.Type = corev1.LimitTypePod
		return item
	}
	resources := func(requests, limits corev1.ResourceList) func(*virtv1.VirtualMachineInstance) {
		return func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Resources.Requests, vmi.Spec.Domain.Resources.Limits = requests, limits
		}
	}
	silent := func(vmi *virtv1.VirtualMachineInstance) { vmi.Spec.Domain.Devices.LogSerialConsole = ptr.To(false) }
	for _, tc := range []struct {
		name string
		vmi  func(*virtv1.VirtualMachineInstance)
		item corev1.LimitRangeItem
		// refused are words of the message, empty if the machine starts; memory is the compute container's limit.
		refused string
		memory  string
	}{
		{name: "a minimum above what the log asks for", item: container(corev1.LimitRangeItem{Min: quantities("cpu", "10m", "memory", "32Mi")})},
		{name: "a minimum above what the guest asks for", item: container(corev1.LimitRangeItem{Min: quantities("cpu", "200m", "memory", "1Gi")})},
		{name: "a maximum", item: container(corev1.LimitRangeItem{Max: quantities("cpu", "2", "memory", "1Gi")}), memory: "1Gi"},
		{name: "a maximum below what the log may use", item: container(corev1.LimitRangeItem{Max: quantities("cpu", "10m", "memory", "1Gi")}), refused: "at most 10m of cpu"},
		{name: "a maximum below the guest", item: container(corev1.LimitRangeItem{Max: quantities("memory", "128Mi")}), refused: "at most 128Mi of memory"},
		{name: "a default below the guest", item: container(corev1.LimitRangeItem{Default: quantities("memory", "64Mi"), DefaultRequest: quantities("memory", "32Mi")})},
		{name: "a default above the guest", item: container(corev1.LimitRangeItem{Default: quantities("memory", "4Gi", "cpu", "1")}), memory: "4Gi"},
		{name: "a default below an overcommitted guest", vmi: resources(quantities("memory", "16Mi"), nil), item: container(corev1.LimitRangeItem{Default: quantities("memory", "200Mi")})},
		{name: "a limit of the user's own", vmi: resources(nil, quantities("memory", "256Mi")), item: container(corev1.LimitRangeItem{Max: quantities("memory", "2Gi")})},
		{name: "a limit of the user's own that is too high", vmi: resources(nil, quantities("cpu", "4")), item: container(corev1.LimitRangeItem{Max: quantities("cpu", "2")}), refused: "at most 2 of cpu"},
		{name: "a limit of the user's own that is too low", vmi: resources(nil, quantities("cpu", "50m")), item: container(corev1.LimitRangeItem{Min: quantities("cpu", "100m")}), refused: "at least 100m of cpu"},
		{name: "a ratio", item: container(corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("cpu", "4", "memory", "2")})},
		{name: "a ratio and a default", item: container(corev1.LimitRangeItem{Default: quantities("cpu", "1", "memory", "1Gi"), MaxLimitRequestRatio: quantities("cpu", "2", "memory", "1")}), memory: "1Gi"},
		{name: "a minimum of pods", item: pods(corev1.LimitRangeItem{Min: quantities("cpu", "500m", "memory", "1Gi")})},
		{name: "a minimum of pods, without a log", vmi: silent, item: pods(corev1.LimitRangeItem{Min: quantities("cpu", "500m", "memory", "1Gi")})},
		{name: "a ratio of pods", item: pods(corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("cpu", "4", "memory", "2")})},
		{name: "a ratio of pods, without a log", vmi: silent, item: pods(corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("cpu", "4", "memory", "2")})},
		{name: "a high maximum of pods", item: pods(corev1.LimitRangeItem{Max: quantities("cpu", "4", "memory", "4Gi")})},
		{name: "a high maximum of pods, without a log", vmi: silent, item: pods(corev1.LimitRangeItem{Max: quantities("cpu", "4", "memory", "4Gi")}), memory: "4Gi"},
		{name: "a maximum of pods", item: pods(corev1.LimitRangeItem{Max: quantities("memory", "128Mi")}), refused: "a pod have at most 128Mi of memory"},
		{name: "dedicated CPUs", vmi: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.CPU = &virtv1.CPU{Cores: 2, DedicatedCPUPlacement: ptr.To(true)}
		}, item: container(corev1.LimitRangeItem{Min: quantities("cpu", "30m", "memory", "32Mi"), Max: quantities("cpu", "4", "memory", "4Gi")})},
		{name: "dedicated CPUs, too many", vmi: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.CPU = &virtv1.CPU{Cores: 2, DedicatedCPUPlacement: ptr.To(true)}
		}, item: container(corev1.LimitRangeItem{Max: quantities("cpu", "1")}), refused: "at most 1 of cpu"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			if tc.vmi != nil {
				tc.vmi(vmi)
			}
			w := newWorld(t, vmi, limitRange("wide"), limitRange("team", tc.item))
			w.reconcile()
			c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
			if tc.refused != "" {
				if w.pod() != nil || c == nil || c.Reason != "LimitRangeViolated" || !strings.Contains(c.Message, "LimitRange team of this namespace") || !strings.Contains(c.Message, tc.refused) {
					t.Fatalf("condition %+v", c)
				}
				if err := w.client.Delete(t.Context(), limitRange("team")); err != nil {
					t.Fatal(err)
				}
				if got := w.r.withoutPod(t.Context(), limitRange("team")); len(got) != 1 {
					t.Errorf("the change of the range brings %v", got)
				}
				w.reconcile()
				if w.pod() == nil {
					t.Error("not started although the range is gone")
				}
				return
			}
			pod := w.pod()
			if pod == nil {
				t.Fatalf("no pod: %+v", c)
			}
			limit, limited := pod.Spec.Containers[0].Resources.Limits["memory"]
			if wrong := admitted(pod, &tc.item); wrong != "" {
				t.Error(wrong)
			}
			floor := memoryFloor(&vmi.Spec, *overheadOf(t, pod))["memory"]
			if _, users := vmi.Spec.Domain.Resources.Limits["memory"]; limited && !users && limit.Cmp(floor) < 0 {
				t.Errorf("a memory limit of %s kills a guest that needs %s", limit.String(), floor.String())
			}
			if tc.memory != "" && limit.String() != tc.memory {
				t.Errorf("memory limit %s, want %s", limit.String(), tc.memory)
			}
		})
	}
}

// TestStateClaimFitsTheRange is a claim of ours in a namespace whose claims have a least size.
func TestStateClaimFitsTheRange(t *testing.T) {
	vmi := pending()
	vmi.Spec.Domain.Devices.TPM = &virtv1.TPMDevice{Persistent: ptr.To(true)}
	w := newWorld(t, vmi, limitRange("claims", corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Min: quantities("storage", "1Gi")}))
	w.reconcile()
	if got := w.claim(stateClaim(vmi)).Spec.Resources.Requests.Storage().String(); got != "1Gi" {
		t.Errorf("asks for %s", got)
	}
}

// TestRefusedPodIsToldOnce: what the API says of a LimitRange is told with its name, and each refusal by one event.
func TestRefusedPodIsToldOnce(t *testing.T) {
	w := newWorld(t, pending(), limitRange("team"))
	w.r.Client = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			return apierrors.NewForbidden(corev1.Resource("pods"), o.GetName(), errors.New("minimum memory usage per Container is 32Mi, but request is 6Mi"))
		},
	})
	for range 3 {
		if _, err := w.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(pending())}); err == nil {
			t.Fatal("not tried again")
		}
	}
	c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
	if c == nil || c.Reason != "FailedCreate" || !strings.Contains(c.Message, "minimum memory usage per Container is 32Mi") || !strings.Contains(c.Message, "(LimitRange team)") {
		t.Errorf("condition %+v", c)
	}
	if told := w.told(); strings.Count(told, "FailedCreate") != 1 {
		t.Errorf("events:\n%s", told)
	}
}

// overheadOf is the overhead that a pod says it has counted.
func overheadOf(t *testing.T, pod *corev1.Pod) *resource.Quantity {
	t.Helper()
	q, err := resource.ParseQuantity(pod.Annotations[virtv1.MemoryOverheadAnnotation])
	if err != nil {
		t.Fatal(err)
	}
	return &q
}
