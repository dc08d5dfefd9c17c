package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// placementKey is the label, and the key of the taint, that this test puts onto nodes.
const placementKey = "example.io/placement-test"

// label gives a node a label for the rest of the test.
func label(t *testing.T, c *harness.Cluster, node, value string) {
	t.Helper()
	patchLabel(t, c, node, value)
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, placementKey)
		if _, err := c.Kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Errorf("taking the label away: %v", err)
		}
	})
}

func patchLabel(t *testing.T, c *harness.Cluster, node string, value any) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{placementKey: value}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kube.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, raw, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// unschedulable says whether an instance says that no node fits.
func unschedulable(vmi *virtv1.VirtualMachineInstance) bool {
	if vmi == nil {
		return false
	}
	for _, cond := range vmi.Status.Conditions {
		if cond.Type == virtv1.VirtualMachineInstanceProvisioning && cond.Reason == "Unschedulable" {
			return true
		}
	}
	return false
}

// placement is where the tests of placement have guests run.
type placement struct {
	*harness.Cluster
	here, there string
}

func newPlacement(t *testing.T) placement {
	t.Helper()
	c := harness.Connect(t)
	nodes := c.Nodes(t)
	if len(nodes) < 2 {
		t.Fatal("this test needs two nodes")
	}
	return placement{c, nodes[0], nodes[1]}
}

// run starts a guest that nobody looks into.
func (p placement) run(t *testing.T, ns, name, extra string) *virtv1.VirtualMachineInstance {
	t.Helper()
	p.Apply(t, ns, harness.Instance{Null: true, Extra: extra}.VM(name, "Always"))
	return p.WaitVMI(t, ns, name, "running", harness.BootLimit, harness.Running)
}

func (p placement) on(t *testing.T, vmi *virtv1.VirtualMachineInstance, node string) {
	t.Helper()
	if pod := p.LauncherPod(t, vmi); vmi.Status.NodeName != node || pod.Spec.NodeName != node {
		t.Errorf("%s runs on %s, its pod on %s, want %s", vmi.Name, vmi.Status.NodeName, pod.Spec.NodeName, node)
	}
}

// TestPlacement says in all the ways of pods where guests may run, with the keys of the manual's examples.
func TestPlacement(t *testing.T) {
	t.Parallel()
	p := newPlacement(t)
	c, here, there := p.Cluster, p.here, p.there
	label(t, c, there, "example-value-1")
	t.Run("node selector", func(t *testing.T) {
		ns := c.Namespace(t)
		p.on(t, p.run(t, ns, "selects", "nodeSelector: {"+placementKey+": example-value-1}\n"), there)
		c.Apply(t, ns, harness.Instance{Null: true, Extra: "nodeSelector: {" + placementKey + ": example-value-2}\n"}.VM("waits", "Always"))
		c.WaitVMI(t, ns, "waits", "unschedulable", time.Minute, unschedulable)
		c.WaitVM(t, ns, "waits", "ErrorUnschedulable", time.Minute, printable("ErrorUnschedulable"))
		patchLabel(t, c, here, "example-value-2")
		defer patchLabel(t, c, here, nil)
		p.on(t, c.WaitVMI(t, ns, "waits", "running once a node has the label", harness.BootLimit, harness.Running), here)
		spec.Covers(t, "P2-PLACE-01", "P2-PLACE-02", "P2-PLACE-03", "P2-PLACE-04", "P1-PLAN-06")
	})
	t.Run("node affinity", func(t *testing.T) {
		ns := c.Namespace(t)
		vmi := p.run(t, ns, "near", `affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - matchExpressions: [{key: `+placementKey+`, operator: In, values: [example-value-1, example-value-2]}]
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 1
      preference: {matchExpressions: [{key: example-node-label-key, operator: In, values: [example-node-label-value]}]}
`)
		p.on(t, vmi, there)
		// The rule is not true any more: what runs stays.
		patchLabel(t, c, there, nil)
		defer patchLabel(t, c, there, "example-value-1")
		time.Sleep(5 * time.Second)
		if still := c.WaitVMI(t, ns, "near", "still running", time.Minute, harness.Running); still.UID != vmi.UID {
			t.Error("the guest was started anew when its node lost the label")
		}
		spec.Covers(t, "P2-PLACE-07", "P2-PLACE-11", "P2-PLACE-15")
	})
	t.Run("pod affinity and anti-affinity", func(t *testing.T) {
		ns := c.Namespace(t)
		c.Peer(t, ns, "peer", there)
		c.Kubectl(t, "", "-n", ns, "label", "pod", "peer", "example-key-1=example-value-1", "example-key-2=example-value-2")
		p.on(t, p.run(t, ns, "with", `affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
    - {labelSelector: {matchExpressions: [{key: example-key-1, operator: In, values: [example-value-1]}]}, topologyKey: kubernetes.io/hostname}
`), there)
		c.Apply(t, ns, harness.Instance{Extra: `affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
    - {labelSelector: {matchExpressions: [{key: example-key-1, operator: In, values: [nobody]}]}, topologyKey: kubernetes.io/hostname}
`}.VM("lonely", "Always"))
		c.WaitVMI(t, ns, "lonely", "unschedulable", time.Minute, unschedulable)
		away := `affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm: {labelSelector: {matchExpressions: [{key: example-key-2, operator: In, values: [example-value-2]}]}, topologyKey: kubernetes.io/hostname}
`
		if vmi := p.run(t, ns, "without", away); vmi.Status.NodeName == there {
			t.Errorf("the guest runs on %s beside the pod that it avoids", there)
		}
		// Where every node that is left has such a pod, the guest runs all the same.
		p.on(t, p.run(t, ns, "forced", away+"nodeSelector: {kubernetes.io/hostname: "+there+"}\n"), there)
		spec.Covers(t, "P2-PLACE-05", "P2-PLACE-06", "P2-PLACE-08", "P2-PLACE-09", "P2-PLACE-10")
	})
	t.Run("huge pages that no node has", func(t *testing.T) {
		ns := c.Namespace(t)
		// The manual's fragment, where its fields stand in a machine.
		c.Apply(t, ns, strings.Replace(harness.Instance{}.VM("huge", "Always"), "        memory: {guest: 128Mi}\n",
			"        resources: {requests: {memory: 4Gi}}\n        memory: {hugepages: {pageSize: 1Gi}}\n", 1))
		vmi := c.WaitVMI(t, ns, "huge", "unschedulable", time.Minute, unschedulable)
		for _, cond := range vmi.Status.Conditions {
			if cond.Reason == "Unschedulable" && !strings.Contains(cond.Message, "Insufficient hugepages-1Gi") {
				t.Errorf("it says %q", cond.Message)
			}
		}
		if got := c.LauncherPod(t, vmi).Spec.Containers[0].Resources.Requests["hugepages-1Gi"]; got.Cmp(resource.MustParse("4Gi")) != 0 {
			t.Errorf("the pod asks for %s", got.String())
		}
		spec.Covers(t, "P2-HUGE-02", "P2-HUGE-03", "P2-HUGE-10")
	})
	t.Run("huge pages that a node has", func(t *testing.T) { hugePages(t, p) })
	t.Run("a CPU of its own", func(t *testing.T) { ownCPU(t, p) })
	t.Run("quota of requests", func(t *testing.T) {
		ns := c.Namespace(t)
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			"requests.memory": resource.MustParse("2Gi"), "requests.cpu": resource.MustParse("2"), "limits.memory": resource.MustParse("2Gi"), "limits.cpu": resource.MustParse("4")}}}
		if _, err := c.Kube.CoreV1().ResourceQuotas(ns).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		vmi := p.run(t, ns, "counted", "")
		pod := c.LauncherPod(t, vmi)
		if l := pod.Spec.Containers[0].Resources.Limits; l.Memory().IsZero() || l.Cpu().Value() != 1 {
			t.Errorf("limits of the pod %v", l)
		}
		if m := vmi.Status.Memory; m == nil || m.MemoryOverhead == nil || m.MemoryOverhead.IsZero() {
			t.Errorf("the instance shows no overhead: %+v", m)
		}
		spec.Covers(t, "P2-QUOTA-01", "P2-QUOTA-05")
	})
}

// hugePages backs a guest with huge pages of its node, from the restart on after they were asked for.
func hugePages(t *testing.T, p placement) {
	spec.Covers(t, "P2-HUGE-01", "P2-HUGE-07", "P2-HUGE-08", "P2-HUGE-10") // also where it skips: the report tells that they were not proven
	c, there := p.Cluster, p.there
	node, err := c.Kube.CoreV1().Nodes().Get(t.Context(), there, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if has := node.Status.Allocatable["hugepages-2Mi"]; has.Cmp(resource.MustParse("128Mi")) < 0 {
		t.Skipf("needs 64 huge pages of 2 MiB, but node %s has %s of memory in them: the host's memory is in too small pieces", there, has.String())
	}
	free := func() int {
		t.Helper()
		meminfo, err := os.ReadFile("/proc/meminfo")
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`(?m)^HugePages_Free: +([0-9]+)$`).FindSubmatch(meminfo)
		if found == nil {
			t.Fatalf("the kernel does not tell of huge pages:\n%s", meminfo)
		}
		n, err := strconv.Atoi(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{NodeName: there}.VM("backed", "Always"))
	c.WaitVMI(t, ns, "backed", "running", harness.BootLimit, harness.Running)
	before := free()
	c.Kubectl(t, "", "-n", ns, "patch", "vm", "backed", "--type=merge", "-p", `{"spec":{"template":{"spec":{"domain":{"memory":{"hugepages":{"pageSize":"2Mi"}}}}}}}`)
	c.WaitVM(t, ns, "backed", "waiting for a restart", time.Minute, func(vm *virtv1.VirtualMachine) bool {
		return vm != nil && slices.ContainsFunc(vm.Status.Conditions, func(cond virtv1.VirtualMachineCondition) bool {
			return cond.Type == virtv1.VirtualMachineRestartRequired && cond.Status == corev1.ConditionTrue
		})
	})
	if now := free(); now != before {
		t.Errorf("an edit has taken %d huge pages for the guest that runs", before-now)
	}
	g := again(t, c, ns, "backed")
	if now := free(); before-now != 64 {
		t.Errorf("a guest of 128 MiB has taken %d huge pages of %d", before-now, before)
	}
	vmi := c.WaitVMI(t, ns, "backed", "running", time.Minute, harness.Running)
	if got := c.LauncherPod(t, vmi).Spec.Containers[0].Resources.Requests["hugepages-2Mi"]; got.Cmp(resource.MustParse("128Mi")) != 0 {
		t.Errorf("the pod asks for %s", got.String())
	}
	if got := strings.Fields(g.run(t, "grep HugePages_Total /proc/meminfo")); len(got) != 2 || got[1] != "0" {
		t.Errorf("inside of the guest there are huge pages: %v", got)
	}
}

// ownCPU runs a guest on a CPU that nobody else on the node may use. The machine has two CPUs, of which kubelets give away one.
func ownCPU(t *testing.T, p placement) {
	c, there := p.Cluster, p.there
	ns := c.Namespace(t)
	c.Apply(t, ns, strings.Replace(harness.Instance{}.VM("pinned", "Always"), "      domain:\n", "      domain:\n        cpu: {cores: 1, dedicatedCpuPlacement: true}\n", 1))
	c.WaitVMI(t, ns, "pinned", "unschedulable while no node has the label", time.Minute, unschedulable)
	c.Kubectl(t, "", "label", "node", there, "cpumanager=true")
	defer c.Kubectl(t, "", "label", "node", there, "cpumanager-")
	vmi := c.WaitVMI(t, ns, "pinned", "running", harness.BootLimit, harness.Running)
	p.on(t, vmi, there)
	if class := c.LauncherPod(t, vmi).Status.QOSClass; class != corev1.PodQOSGuaranteed {
		t.Errorf("the pod's class is %s", class)
	}
	const look = "grep Cpus_allowed_list /proc/self/status | cut -f2"
	own := strings.TrimSpace(c.Exec(t, ns, c.LauncherPod(t, vmi).Name, "compute", "bash", "-c", look))
	if _, err := strconv.Atoi(own); err != nil {
		t.Fatalf("the guest's pod has the CPUs %q, want one", own)
	}
	c.Peer(t, ns, "other", there)
	eventually(t, "others leave the CPU alone", time.Minute, func() (string, bool) {
		got := strings.TrimSpace(c.Exec(t, ns, "other", "peer", "bash", "-c", look))
		return "the guest has " + own + ", a pod beside it " + got, !slices.Contains(cpus(t, got), own)
	})
	if got := lookInto(t, c, ns, "pinned").run(t, "nproc"); got != "1" {
		t.Errorf("the guest has %s CPUs", got)
	}
	spec.Covers(t, "P2-DEDI-01", "P2-DEDI-02", "P2-DEDI-04")
}

// cpus are the numbers of a list as the kernel writes it: 0-2,7.
func cpus(t *testing.T, list string) []string {
	t.Helper()
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			t.Fatalf("CPUs %q: %v", list, err)
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			t.Fatalf("CPUs %q: %v", list, err)
		}
		for n := first; n <= last; n++ {
			out = append(out, strconv.Itoa(n))
		}
	}
	return out
}

// TestDisturbedNode taints a node, and kills its kubelet. It does not run beside other tests, whose guests may want the node.
func TestDisturbedNode(t *testing.T) {
	p := newPlacement(t)
	c, here, there := p.Cluster, p.here, p.there
	t.Run("tolerations", func(t *testing.T) {
		ns := c.Namespace(t)
		c.Kubectl(t, "", "taint", "node", there, placementKey+"=virtualization:NoSchedule")
		defer c.Kubectl(t, "", "taint", "node", there, placementKey+"-")
		at := "nodeSelector: {kubernetes.io/hostname: " + there + "}\n"
		c.Apply(t, ns, harness.Instance{Extra: at}.VM("kept-away", "Always"))
		c.WaitVMI(t, ns, "kept-away", "unschedulable", time.Minute, unschedulable)
		tolerates := "tolerations: [{key: " + placementKey + ", operator: Equal, value: virtualization, effect: NoSchedule}]\n"
		p.on(t, p.run(t, ns, "tolerates", at+tolerates), there)
		// It may, but it need not.
		p.on(t, p.run(t, ns, "elsewhere", tolerates+"nodeSelector: {kubernetes.io/hostname: "+here+"}\n"), here)
		spec.Covers(t, "P2-PLACE-12", "P2-PLACE-13")
	})
	t.Run("without an agent", func(t *testing.T) { withoutAgent(t, p) })
	t.Run("kubelet", func(t *testing.T) {
		label(t, c, there, "example-value-1")
		ns, steady := keepsSelected(t, c, there)
		t.Run("drain", func(t *testing.T) {
			defer c.Kubectl(t, "", "uncordon", there)
			c.Kubectl(t, "", "drain", there, "--pod-selector=virtplane.test/drained=yes", "--delete-emptydir-data", "--timeout=120s")
			next := c.WaitVMI(t, ns, "steady", "another instance, which waits for the node", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
				return vmi != nil && vmi.UID != steady.UID && unschedulable(vmi)
			})
			if next.Spec.EvictionStrategy != nil {
				t.Errorf("its eviction strategy is %s", *next.Spec.EvictionStrategy)
			}
			// Or it would start as soon as the node takes pods again.
			c.Kubectl(t, "", "-n", ns, "delete", "vm", "steady", "--timeout=60s")
			spec.Covers(t, "P4-EVICT-06")
		})
	})
}

// withoutAgent keeps the node's agent away from a node, and with it every guest, until it may come back.
func withoutAgent(t *testing.T, p placement) {
	c, there := p.Cluster, p.there
	place := func(nodes string) {
		t.Helper()
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "patch", "daemonset", "virt-handler", "--type=merge", "-p", `{"spec":{"template":{"spec":{"affinity":`+nodes+`}}}}`)
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "rollout", "status", "daemonset", "virt-handler", "--timeout=3m")
	}
	const tun = "devices.kubevirt.io/tun"
	devices := func(are func(int64) bool) {
		t.Helper()
		eventually(t, "the kubelet tells of the devices on "+there, 2*time.Minute, func() (string, bool) {
			node, err := c.Kube.CoreV1().Nodes().Get(t.Context(), there, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			n := node.Status.Allocatable[tun]
			return n.String(), are(n.Value())
		})
	}
	ns := c.Namespace(t)
	defer func() {
		place("null")
		devices(func(n int64) bool { return n > 0 })
		p.on(t, c.WaitVMI(t, ns, "placed", "running", harness.BootLimit, harness.Running), there)
		spec.Covers(t, "P2-PLACE-14")
	}()
	place(`{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"kubernetes.io/hostname","operator":"NotIn","values":["` + there + `"]}]}]}}}`)
	devices(func(n int64) bool { return n == 0 })
	c.Apply(t, ns, harness.Instance{Null: true, NodeName: there}.VM("placed", "Always"))
	vmi := c.WaitVMI(t, ns, "placed", "unschedulable", time.Minute, unschedulable)
	for _, cond := range vmi.Status.Conditions {
		if cond.Reason == "Unschedulable" && !strings.Contains(cond.Message, tun) {
			t.Errorf("it says %q", cond.Message)
		}
	}
}

// TestNodesOfModels has guests that are not emulated say which nodes they may run on: those whose CPU offers their model. It
// changes how all guests run, so it does not run beside other tests. Where nodes have no KVM, a guest comes past that choice,
// but no further.
func TestNodesOfModels(t *testing.T) {
	c := harness.Connect(t)
	ns := c.Namespace(t)
	var emulated *bool
	configure(t, c, func(d *virtv1.DeveloperConfiguration) { emulated, d.UseEmulation = d.UseEmulation, new(bool) })
	t.Cleanup(func() { configure(t, c, func(d *virtv1.DeveloperConfiguration) { d.UseEmulation = emulated }) })
	const kvm = "devices.kubevirt.io/kvm"
	tries := 0
	eventually(t, "virt-controller knows that guests are not emulated", time.Minute, func() (string, bool) {
		tries++
		name := "early-" + strconv.Itoa(tries)
		c.Apply(t, ns, harness.Instance{Null: true, Extra: "nodeSelector: {no/such: node}\n"}.VMI(name))
		vmi := c.WaitVMI(t, ns, name, "unschedulable", time.Minute, unschedulable)
		_, asks := c.LauncherPod(t, vmi).Spec.Containers[0].Resources.Limits[kvm]
		return name, asks
	})
	node, err := c.Kube.CoreV1().Nodes().Get(t.Context(), c.Nodes(t)[0], metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const label = "cpu-model.node.kubevirt.io/"
	offered := slices.DeleteFunc(slices.Sorted(maps.Keys(node.Labels)), func(key string) bool { return !strings.HasPrefix(key, label) || node.Labels[key] != "true" })
	if len(offered) == 0 || slices.Contains(offered, label+"Conroe") {
		t.Fatalf("node %s offers the models %v, want some, and not Conroe", node.Name, offered)
	}
	// as the manual's machine has it, and one of the node's
	conroe := strings.Replace(harness.Instance{Null: true}.VM("conroe", "Always"), "domain:\n", "domain:\n        cpu: {model: Conroe}\n", 1)
	c.Apply(t, ns, conroe)
	c.Apply(t, ns, strings.NewReplacer("Conroe", strings.TrimPrefix(offered[0], label), "conroe", "offered").Replace(conroe))
	says := func(what string) func(vmi *virtv1.VirtualMachineInstance) bool {
		return func(vmi *virtv1.VirtualMachineInstance) bool {
			return unschedulable(vmi) && slices.ContainsFunc(vmi.Status.Conditions, func(cond virtv1.VirtualMachineInstanceCondition) bool {
				return cond.Reason == "Unschedulable" && strings.Contains(cond.Message, what)
			})
		}
	}
	const noNode = "didn't match Pod's node affinity/selector"
	vmi := c.WaitVMI(t, ns, "conroe", "without a node that offers its model", time.Minute, says(noNode))
	if selects := c.LauncherPod(t, vmi).Spec.NodeSelector; selects[label+"Conroe"] != "true" {
		t.Errorf("its pod selects %v", selects)
	}
	vmi = c.WaitVMI(t, ns, "offered", "running, or without a node that has KVM", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
		return harness.Running(vmi) || says("Insufficient "+kvm)(vmi)
	})
	if selects := c.LauncherPod(t, vmi).Spec.NodeSelector; selects[offered[0]] != "true" || says(noNode)(vmi) {
		t.Errorf("its pod selects %v, conditions %+v", selects, vmi.Status.Conditions)
	}
	spec.Covers(t, "P2-CPU-01", "P2-CPU-09", "P4-CPU-01")
}

// TestNodeLabels looks at what virt-handler says of a node's CPU, and takes it away.
func TestNodeLabels(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	nodeLabels(t, c, c.Nodes(t)[0])
}

// nodeLabels takes away a label that no guest under emulation selects.
func nodeLabels(t *testing.T, c *harness.Cluster, name string) {
	node := func() *corev1.Node {
		t.Helper()
		n, err := c.Kube.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	labels := func() map[string]string { return node().Labels }
	heartbeat := func() string { return node().Annotations[virtv1.VirtHandlerHeartbeat] }
	const q35 = "machine-type.node.kubevirt.io/q35"
	await := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(3 * time.Minute); !is(); time.Sleep(time.Second) {
			if time.Now().After(end) {
				t.Fatalf("waiting until %s; labels %v", what, labels())
			}
		}
	}
	await("there are labels", func() bool { return labels()[q35] == "true" })
	models, gone := 0, ""
	for key := range labels() {
		if model, ok := strings.CutPrefix(key, "cpu-model.node.kubevirt.io/"); ok {
			models++
			gone = key
			if strings.Contains(" 486 Conroe athlon core2duo coreduo kvm32 kvm64 n270 pentium pentium2 pentium3 pentiumpro phenom qemu32 qemu64 ", " "+model+" ") {
				t.Errorf("the node offers the obsolete model %s", model)
			}
		}
	}
	if models == 0 {
		t.Errorf("the node offers no model: %v", labels())
	}
	c.Kubectl(t, "", "annotate", "node", name, "node-labeller.kubevirt.io/skip-node=true")
	defer c.Kubectl(t, "", "annotate", "node", name, "node-labeller.kubevirt.io/skip-node-")
	c.Kubectl(t, "", "label", "node", name, gone+"-")
	// The agent looks at its node with each heartbeat, if not before; what it would change follows at once.
	heard := heartbeat()
	await("there is another heartbeat", func() bool { return heartbeat() != heard })
	time.Sleep(10 * time.Second)
	if labels()[gone] != "" {
		t.Error("the label is back although the node is skipped")
	}
	c.Kubectl(t, "", "annotate", "node", name, "--overwrite", "node-labeller.kubevirt.io/skip-node=false")
	await("the label is back", func() bool { return labels()[gone] == "true" })
	spec.Covers(t, "P2-CPU-12", "P4-CPU-02", "P4-SKIP-01", "P4-SKIP-02", "P4-SKIP-03")
}

// keepsSelected kills a node's kubelet under a guest that has selected the node by a label which only the API has put there:
// the kubelet that starts anew must admit it again.
func keepsSelected(t *testing.T, c *harness.Cluster, node string) (ns string, steady *virtv1.VirtualMachineInstance) {
	t.Helper()
	local := harness.Local(t)
	ns = c.Namespace(t)
	c.Apply(t, ns, harness.Instance{Labels: map[string]string{"virtplane.test/drained": "yes"}, Extra: "nodeSelector: {" + placementKey + ": example-value-1}\n"}.VM("steady", "Always"))
	first := c.WaitVMI(t, ns, "steady", "running", harness.BootLimit, harness.Running)
	boot := c.BootID(t, ns, "steady")
	for range 5 {
		if err := local.Kill(node, "kubelet"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
	}
	c.Kubectl(t, "", "wait", "--for=condition=Ready", "--timeout=120s", "node/"+node)
	again := c.WaitVMI(t, ns, "steady", "running", time.Minute, harness.Running)
	if again.UID != first.UID {
		t.Fatalf("the guest was started anew: instance %s, then %s", first.UID, again.UID)
	}
	if got := c.BootID(t, ns, "steady"); got != boot {
		t.Errorf("the guest was booted anew: %s, then %s", boot, got)
	}
	events := c.Kubectl(t, "", "-n", ns, "get", "events", "-o", "jsonpath={range .items[*]}{.reason} {.message}{\"\\n\"}{end}")
	if strings.Contains(events, "NodeAffinity") {
		t.Errorf("the kubelet has refused the pod:\n%s", events)
	}
	return ns, again
}
