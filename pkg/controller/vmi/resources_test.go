package vmi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// list writes a resource list as text, so that 1Gi and 1024Mi are the same.
func list(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		q := resource.MustParse(pairs[i+1])
		out[pairs[i]] = q.String()
	}
	return out
}

func text(l corev1.ResourceList) map[string]string {
	out := map[string]string{}
	for name, q := range l {
		q = resource.MustParse(q.String())
		out[string(name)] = q.String()
	}
	return out
}

func quantities(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

// TestResources fixes the overhead at 100Mi and looks at what becomes of it and of what the user asks for.
func TestResources(t *testing.T) {
	for _, tc := range []struct {
		name             string
		change           func(*virtv1.DomainSpec)
		config           func(*virtv1.DeveloperConfiguration)
		auto             AutoLimits
		requests, limits map[string]string
		qos              corev1.PodQOSClass
	}{
		{name: "memory of the guest",
			requests: list("memory", "1124Mi", "cpu", "100m"), limits: list()},
		{name: "requests and limits",
			change: func(d *virtv1.DomainSpec) {
				d.Resources.Requests, d.Resources.Limits = quantities("memory", "1Gi", "cpu", "250m"), quantities("memory", "2Gi", "cpu", "3")
			},
			requests: list("memory", "1124Mi", "cpu", "250m"), limits: list("memory", "2148Mi", "cpu", "3")},
		{name: "a request below the guest's memory overcommits it",
			change:   func(d *virtv1.DomainSpec) { d.Resources.Requests = quantities("memory", "512Mi") },
			requests: list("memory", "612Mi", "cpu", "100m"), limits: list()},
		{name: "overhead overcommitted",
			change: func(d *virtv1.DomainSpec) {
				d.Resources.OvercommitGuestOverhead, d.Resources.Limits = ptr.To(true), quantities("memory", "1Gi")
			},
			requests: list("memory", "1Gi", "cpu", "100m"), limits: list("memory", "1124Mi")},
		{name: "CPUs share",
			change:   func(d *virtv1.DomainSpec) { d.CPU = &virtv1.CPU{Sockets: 2, Cores: 3, Threads: 2} },
			config:   func(c *virtv1.DeveloperConfiguration) { c.CPUAllocationRatio = ptr.To(int32(4)) },
			requests: list("memory", "1124Mi", "cpu", "3"), limits: list()},
		{name: "a limit alone is requested by Kubernetes",
			change:   func(d *virtv1.DomainSpec) { d.Resources.Limits = quantities("cpu", "2") },
			requests: list("memory", "1124Mi"), limits: list("cpu", "2")},
		{name: "dedicated CPUs",
			change:   func(d *virtv1.DomainSpec) { d.CPU = &virtv1.CPU{Cores: 2, DedicatedCPUPlacement: ptr.To(true)} },
			requests: list("memory", "1124Mi", "cpu", "2"), limits: list("memory", "1124Mi", "cpu", "2"), qos: corev1.PodQOSGuaranteed},
		{name: "and one for the emulator",
			change: func(d *virtv1.DomainSpec) {
				d.CPU = &virtv1.CPU{Cores: 2, DedicatedCPUPlacement: ptr.To(true), IsolateEmulatorThread: ptr.To(true)}
				d.Resources.Requests = quantities("cpu", "2", "memory", "1Gi")
			},
			requests: list("memory", "1124Mi", "cpu", "3"), limits: list("memory", "1124Mi", "cpu", "3"), qos: corev1.PodQOSGuaranteed},
		{name: "huge pages",
			change:   func(d *virtv1.DomainSpec) { d.Memory.Hugepages = &virtv1.Hugepages{PageSize: "2Mi"} },
			requests: list("memory", "100Mi", "cpu", "100m", "hugepages-2Mi", "1Gi"), limits: list("hugepages-2Mi", "1Gi")},
		{name: "huge pages and more",
			change: func(d *virtv1.DomainSpec) {
				d.Memory.Hugepages = &virtv1.Hugepages{PageSize: "1Gi"}
				d.Resources.Requests, d.Resources.Limits = quantities("memory", "1280Mi"), quantities("memory", "1536Mi")
			},
			requests: list("memory", "356Mi", "cpu", "100m", "hugepages-1Gi", "1Gi"), limits: list("memory", "612Mi", "hugepages-1Gi", "1Gi")},
		{name: "huge pages are for the whole guest",
			change: func(d *virtv1.DomainSpec) {
				d.Memory.Hugepages = &virtv1.Hugepages{PageSize: "2Mi"}
				d.Resources.Requests, d.Resources.Limits = quantities("memory", "512Mi"), quantities("memory", "1Gi")
			},
			requests: list("memory", "100Mi", "cpu", "100m", "hugepages-2Mi", "1Gi"), limits: list("memory", "100Mi", "hugepages-2Mi", "1Gi")},
		{name: "huge pages that the request sizes",
			change: func(d *virtv1.DomainSpec) {
				d.Memory = &virtv1.Memory{Hugepages: &virtv1.Hugepages{PageSize: "2Mi"}}
				d.Resources.Requests = quantities("memory", "64Mi")
			},
			requests: list("memory", "100Mi", "cpu", "100m", "hugepages-2Mi", "64Mi"), limits: list("hugepages-2Mi", "64Mi")},
		{name: "limits that a quota wants",
			auto:     AutoLimits{CPU: true, MemoryRatio: 1.5},
			change:   func(d *virtv1.DomainSpec) { d.CPU = &virtv1.CPU{Cores: 2} },
			requests: list("memory", "1124Mi", "cpu", "200m"), limits: list("memory", "1686Mi", "cpu", "2")},
		{name: "limits of the user's own stay",
			auto:     AutoLimits{CPU: true, MemoryRatio: 2},
			change:   func(d *virtv1.DomainSpec) { d.Resources.Limits = quantities("memory", "1Gi", "cpu", "1500m") },
			requests: list("memory", "1124Mi"), limits: list("memory", "1124Mi", "cpu", "1500m")},
		{name: "a request above the guest's CPUs is the limit",
			auto:     AutoLimits{CPU: true},
			change:   func(d *virtv1.DomainSpec) { d.Resources.Requests = quantities("cpu", "2") },
			requests: list("memory", "1124Mi", "cpu", "2"), limits: list("cpu", "2")},
		{name: "devices of the node",
			change: func(d *virtv1.DomainSpec) {
				d.Devices.GPUs = []virtv1.GPU{{Name: "a", DeviceName: "example.com/gpu"}, {Name: "b", DeviceName: "example.com/gpu"}}
				d.Devices.HostDevices = []virtv1.HostDevice{{Name: "c", DeviceName: "example.com/nic"}}
			},
			requests: list("memory", "1124Mi", "cpu", "100m", "example.com/gpu", "2", "example.com/nic", "1"),
			limits:   list("example.com/gpu", "2", "example.com/nic", "1")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := guest("1Gi")
			if tc.change != nil {
				tc.change(&vmi.Spec.Domain)
			}
			before := vmi.DeepCopy()
			o := emulation(true)
			o.Limits = tc.auto
			if tc.config != nil {
				tc.config(o.Config.DeveloperConfiguration)
			}
			got := resources(&vmi.Spec, resource.MustParse("100Mi"), o)
			for name, q := range map[string]string{"devices.kubevirt.io/tun": "1"} {
				tc.requests[name], tc.limits[name] = q, q
			}
			if diff := cmp.Diff(asText{tc.requests, tc.limits}, asText{text(got.Requests), text(got.Limits)}); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, &vmi); diff != "" {
				t.Errorf("the instance was changed:\n%s", diff)
			}
			guaranteed := true
			for _, name := range []corev1.ResourceName{"cpu", "memory"} {
				request, limit := got.Requests[name], got.Limits[name]
				guaranteed = guaranteed && request.Cmp(limit) == 0
			}
			if guaranteed != (tc.qos == corev1.PodQOSGuaranteed) {
				t.Errorf("guaranteed: %v", guaranteed)
			}
		})
	}
	spec.Covers(t, "P1-PLAN-12", "P1-PLAN-13", "P2-DEDI-06", "P2-HUGE-10", "P2-QUOTA-05")
}

type asText struct{ Requests, Limits map[string]string }

func TestAutoLimits(t *testing.T) {
	quota := func(hard ...string) *corev1.ResourceQuota {
		return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: hard[0], Namespace: "ns"}, Spec: corev1.ResourceQuotaSpec{Hard: quantities(hard...)}}
	}
	for _, tc := range []struct {
		name     string
		labels   map[string]string
		quota    []*corev1.ResourceQuota
		selector *metav1.LabelSelector
		want     AutoLimits
	}{
		{name: "no quota"},
		{name: "a quota of requests", quota: []*corev1.ResourceQuota{quota("requests.memory", "1Gi", "requests.cpu", "4")}},
		{name: "a quota of memory limits", quota: []*corev1.ResourceQuota{quota("limits.memory", "1Gi")}, want: AutoLimits{MemoryRatio: 2}},
		{name: "a quota of CPU limits", quota: []*corev1.ResourceQuota{quota("limits.cpu", "4")}, want: AutoLimits{CPU: true}},
		{name: "two quotas", quota: []*corev1.ResourceQuota{quota("limits.cpu", "4"), quota("limits.memory", "1Gi")}, want: AutoLimits{CPU: true, MemoryRatio: 2}},
		{name: "the namespace's ratio", labels: map[string]string{memoryLimitsRatioLabel: "1.2"},
			quota: []*corev1.ResourceQuota{quota("limits.memory", "1Gi")}, want: AutoLimits{MemoryRatio: 1.2}},
		{name: "a ratio below one", labels: map[string]string{memoryLimitsRatioLabel: "0.5"},
			quota: []*corev1.ResourceQuota{quota("limits.memory", "1Gi")}, want: AutoLimits{MemoryRatio: 2}},
		{name: "no number", labels: map[string]string{memoryLimitsRatioLabel: "NaN"},
			quota: []*corev1.ResourceQuota{quota("limits.memory", "1Gi")}, want: AutoLimits{MemoryRatio: 2}},
		{name: "a ratio without quota", labels: map[string]string{memoryLimitsRatioLabel: "1.2"}},
		{name: "a selected namespace", labels: map[string]string{"limited": "yes"},
			selector: &metav1.LabelSelector{MatchLabels: map[string]string{"limited": "yes"}}, want: AutoLimits{CPU: true}},
		{name: "another namespace", selector: &metav1.LabelSelector{MatchLabels: map[string]string{"limited": "yes"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: tc.labels}})
			for _, q := range tc.quota {
				if err := w.client.Create(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			got, err := w.r.autoLimits(t.Context(), "ns", &virtv1.KubeVirtConfiguration{AutoCPULimitNamespaceLabelSelector: tc.selector})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("limits (-want +got):\n%s", diff)
			}
		})
	}
}

// TestQuotaReachesThePod renders a pod in a namespace whose quota counts limits.
func TestQuotaReachesThePod(t *testing.T) {
	vmi := guest("128Mi")
	vmi.Status.Phase = virtv1.Pending
	w := newWorld(t, &vmi, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}},
		&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q", Namespace: "ns"}, Spec: corev1.ResourceQuotaSpec{Hard: quantities("limits.memory", "4Gi", "limits.cpu", "4")}})
	w.reconcile()
	r := w.pod().Spec.Containers[0].Resources
	if limit, request := r.Limits["memory"], r.Requests["memory"]; limit.Value() != 2*request.Value() || r.Limits.Cpu().Value() != 1 {
		t.Errorf("limits %v, requests %v", r.Limits, r.Requests)
	}
}
