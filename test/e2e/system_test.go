package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/csi-driver/driver"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/node/nodestatus"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/image"
	"github.com/virtplane/virtplane/test/spec"
)

// TestComponents looks at what is installed the way the runbooks of the manual do.
func TestComponents(t *testing.T) {
	c := harness.Connect(t)
	nodes := c.Nodes(t)
	// As the manual's commands find the namespace that the others look in.
	if out := c.Kubectl(t, "", "get", "kubevirt", "-A", "-o", "custom-columns=:.metadata.namespace"); strings.TrimSpace(out) != harness.SystemNamespace {
		t.Errorf("the namespace is %q", out)
	}
	for _, name := range []string{"virt-api", "virt-controller"} {
		out := c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "deployment", name, "-o", "jsonpath={.spec.replicas} {.status.readyReplicas}")
		if out != "2 2" {
			t.Errorf("deployment %s has %q replicas wanted and ready", name, out)
		}
	}
	for _, name := range []string{"virt-api", "virt-controller", "virt-handler"} {
		out := c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "pods", "-l", "kubevirt.io="+name, "-o", "name")
		if len(strings.Fields(out)) < 2 {
			t.Errorf("pods labelled kubevirt.io=%s: %q", name, out)
		}
	}
	fields := strings.Fields(c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "daemonset", "virt-handler", "--no-headers"))
	if want := fmt.Sprint(len(nodes)); len(fields) < 6 || !slices.Equal(fields[:6], []string{"virt-handler", want, want, want, want, want}) {
		t.Errorf("kubectl get daemonset prints %q", fields)
	}
	spec.Covers(t, "P5-GEN-05", "P5-GEN-11", "P5-GEN-15", "P5-GEN-16")

	t.Run("devices", func(t *testing.T) {
		// The nodes of the local cluster have the devices of this machine.
		there := func(device string) bool {
			_, err := os.Stat(device)
			return err == nil
		}
		for _, name := range nodes {
			node, err := c.Kube.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// Whether KVM is offered depends on its speed, which the node's agent has measured and tells of.
			probed := slices.IndexFunc(node.Status.Conditions, func(cond corev1.NodeCondition) bool { return cond.Type == nodestatus.KVMUsable })
			if probed < 0 {
				t.Fatalf("node %s does not tell whether KVM is usable: %+v", name, node.Status.Conditions)
			}
			usable := node.Status.Conditions[probed]
			if missing := usable.Reason == "DeviceMissing"; missing == there("/dev/kvm") {
				t.Errorf("node %s says of KVM %+v", name, usable)
			}
			for resource, offered := range map[corev1.ResourceName]bool{
				"devices.kubevirt.io/tun":       there("/dev/net/tun"),
				"devices.kubevirt.io/vhost-net": there("/dev/vhost-net"),
				"devices.kubevirt.io/kvm":       usable.Status == corev1.ConditionTrue,
				"devices.kubevirt.io/sev":       false,
			} {
				want := "0"
				if offered {
					want = "1k"
				}
				if got, ok := node.Status.Allocatable[resource]; !ok || got.String() != want {
					t.Errorf("node %s offers %s of %s, want %s", name, &got, resource, want)
				}
			}
		}
		spec.Covers(t, "P5-OBS-21")
	})

	t.Run("hostpath driver", func(t *testing.T) {
		c.Kubectl(t, "", "get", "csidriver", driver.Name)
		for _, node := range nodes {
			if out := c.Kubectl(t, "", "get", "csinode", node, "-o", "jsonpath={.spec.drivers[*].name}"); !slices.Contains(strings.Fields(out), driver.Name) {
				t.Errorf("node %s has drivers %q", node, out)
			}
		}
		if out := c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "all", "-l", "k8s-app=hostpath-provisioner", "-o", "name"); !strings.Contains(out, "daemonset.apps/hostpath-provisioner-csi") {
			t.Errorf("labelled k8s-app=hostpath-provisioner: %s", out)
		}
		// The driver of the interface before CSI.
		if out, err := c.TryKubectl(t, "", "-n", harness.SystemNamespace, "get", "daemonset", "hostpath-provisioner"); err == nil {
			t.Errorf("the legacy provisioner is installed: %s", out)
		}
		spec.Covers(t, "P1-ARCH-25", "P1-ARCH-26", "P5-GEN-12", "P5-GEN-25")
	})
	t.Run("virt-api is the way in", func(t *testing.T) {
		for _, name := range []string{"v1.kubevirt.io", "v1alpha3.kubevirt.io", "v1.subresources.kubevirt.io", "v1alpha3.subresources.kubevirt.io"} {
			out := c.Kubectl(t, "", "get", "apiservice", name, "-o", `jsonpath={.spec.service.namespace}/{.spec.service.name} {.status.conditions[?(@.type=="Available")].status}`)
			if out != harness.SystemNamespace+"/virt-api True" {
				t.Errorf("APIService %s: %s", name, out)
			}
		}
		spec.Covers(t, "P1-ARCH-39")
	})
}

// TestDeletedComponents deletes the pods of the components, as the runbooks advise, and takes virt-controller away for a while:
// guests run on, and what was asked meanwhile is done afterwards.
func TestDeletedComponents(t *testing.T) {
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{}.VM("lives", "Always"))
	lives := c.WaitVMI(t, ns, "lives", "running", harness.BootLimit, harness.Running)
	boot := c.BootID(t, ns, "lives")

	rollout := func(what string) {
		t.Helper()
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "rollout", "status", what, "--timeout=110s")
	}
	for component, what := range map[string]string{"virt-controller": "deployment/virt-controller", "virt-handler": "daemonset/virt-handler", "virt-api": "deployment/virt-api"} {
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "delete", "pods", "-l", "kubevirt.io="+component, "--timeout=110s")
		rollout(what)
	}
	if got := c.BootID(t, ns, "lives"); got != boot {
		t.Errorf("the guest was booted anew: %s, it was %s", got, boot)
	}
	spec.Covers(t, "P5-GEN-27")

	t.Run("without virt-controller", func(t *testing.T) {
		defer func() {
			c.Kubectl(t, "", "-n", harness.SystemNamespace, "scale", "deployment/virt-controller", "--replicas=2")
			rollout("deployment/virt-controller")
		}()
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "scale", "deployment/virt-controller", "--replicas=0")
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "wait", "--for=delete", "pods", "-l", "kubevirt.io=virt-controller", "--timeout=60s")
		c.Apply(t, ns, harness.Instance{Null: true}.VMI("waits"))
		virt(t, c, ns, "VM lives was scheduled to stop", "stop", "lives")
		time.Sleep(5 * time.Second)
		waits, err := c.Virt.KubevirtV1().VirtualMachineInstances(ns).Get(t.Context(), "waits", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if out := c.Kubectl(t, "", "-n", ns, "get", "pods", "-l", virtv1.CreatedByLabel+"="+string(waits.UID), "-o", "name"); waits.Status.Phase != virtv1.Pending || out != "" {
			t.Errorf("without virt-controller the instance is %s and has pods %q", waits.Status.Phase, out)
		}
		if now := c.WaitVMI(t, ns, "lives", "running", time.Minute, harness.Running); now.UID != lives.UID || now.DeletionTimestamp != nil {
			t.Errorf("without virt-controller the instance of a stopped machine is %s, deleted %v", now.UID, now.DeletionTimestamp)
		}
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "scale", "deployment/virt-controller", "--replicas=2")
		c.WaitVMI(t, ns, "waits", "running", harness.BootLimit, harness.Running)
		c.WaitVMI(t, ns, "lives", "gone", time.Minute, harness.Gone)
		c.WaitVM(t, ns, "lives", "Stopped", time.Minute, printable("Stopped"))
		spec.Covers(t, "P5-GEN-14")
	})
}

// TestImageIsPulled puts a CD of drivers that only the registry has into a machine's drive: it is pulled for the first start, and
// is there for the second.
func TestImageIsPulled(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	tree, disc := t.TempDir(), filepath.Join(t.TempDir(), "drivers.iso")
	if err := os.MkdirAll(filepath.Join(tree, "NetKVM/w11/amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "NetKVM/w11/amd64/netkvm.inf"), []byte("[Version]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "genisoimage", "-quiet", "-r", "-V", "drivers", "-o", disc, tree).CombinedOutput(); err != nil {
		t.Fatalf("genisoimage: %v\n%s", err, out)
	}
	// A name that no run before has brought to a node.
	ref, archive := build(t, "only-in-the-registry-"+ns, image.File{Path: "/disk/drivers.iso", Mode: 0o440, UID: 107, GID: 107, Source: disc})
	if err := harness.Local(t).Push(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	c.Apply(t, ns, harness.Instance{NodeName: c.Nodes(t)[0], Disks: "- {name: drivers, cdrom: {bus: scsi}}", Volumes: "- {name: drivers, containerDisk: {image: \"" + ref + "\"}}"}.VM("pulled", "Always"))
	// told gives what the events of an instance's pod say of its images, once they name this one: the kubelet tells of it late.
	told := func(vmi *virtv1.VirtualMachineInstance) string {
		t.Helper()
		pod := c.LauncherPod(t, vmi).Name
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
			events := c.Kubectl(t, "", "-n", ns, "get", "events", "--field-selector", "involvedObject.name="+pod+",reason=Pulled", "-o", "custom-columns=:.message")
			if strings.Contains(events, ref) || time.Now().After(deadline) {
				return events
			}
		}
	}
	first := c.WaitVMI(t, ns, "pulled", "running", harness.BootLimit, harness.Running)
	if events := told(first); !strings.Contains(events, fmt.Sprintf("Successfully pulled image %q", ref)) {
		t.Errorf("the events of the first start do not tell of a pull:\n%s", events)
	}
	const look = "mkdir -p /m; mount -t iso9660 -o ro /dev/sr0 /m && cd /m && find . -name '*.inf'; cd /; umount /m"
	if got := lookInto(t, c, ns, "pulled").run(t, look); got != "./NetKVM/w11/amd64/netkvm.inf" {
		t.Errorf("on the CD there is %q", got)
	}
	act(t, c, ns, "virtualmachines", "pulled", "restart", "", http.StatusAccepted)
	second := c.WaitVMI(t, ns, "pulled", "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
		return harness.Running(vmi) && vmi.UID != first.UID
	})
	if events := told(second); strings.Contains(events, "Successfully pulled") || !strings.Contains(events, ref) {
		t.Errorf("the events of the second start tell of a pull, or nothing:\n%s", events)
	}
	spec.Covers(t, "P3-CDISK-04", "P2-VIRTIOWIN-01", "P2-VIRTIOWIN-05", "P2-VIRTIOWIN-18")
}

// logLine is what each line of a component's log holds.
type logLine struct {
	Component, Level, Msg, Pos, Timestamp string
}

// lines reads a log, in which each line must be one object.
func lines(t *testing.T, log string) []logLine {
	t.Helper()
	var out []logLine
	for text := range strings.Lines(log) {
		var line logLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Errorf("a line of a log is no JSON: %v: %s", err, text)
			continue
		}
		out = append(out, line)
	}
	return out
}

// TestLogs reads the logs of the components, and changes how much is in them while they run.
func TestLogs(t *testing.T) {
	c := harness.Connect(t)
	pods := c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "pods")
	for _, want := range []string{"NAME", "READY", "STATUS", "RESTARTS", "AGE", "virt-api-", "virt-controller-", "virt-handler-"} {
		if !strings.Contains(pods, want) {
			t.Errorf("kubectl get pods shows no %s:\n%s", want, pods)
		}
	}
	spec.Covers(t, "P4-LOG-07")
	log := func(component string) []logLine {
		t.Helper()
		return lines(t, c.Kubectl(t, "", "-n", harness.SystemNamespace, "logs", "-l", "kubevirt.io="+component, "--tail=200"))
	}
	for _, component := range []string{"virt-api", "virt-controller", "virt-handler"} {
		all := log(component)
		if len(all) == 0 {
			t.Errorf("%s has logged nothing", component)
		}
		for _, line := range all {
			_, err := time.Parse("2006-01-02T15:04:05.000000Z", line.Timestamp)
			if line.Component != component || line.Msg == "" || !strings.Contains(line.Pos, ".go:") || err != nil || !slices.Contains([]string{"debug", "info", "warning", "error"}, line.Level) {
				t.Errorf("a line of %s: %+v, %v", component, line, err)
				break
			}
		}
	}
	spec.Covers(t, "P4-LOG-08", "P4-LOG-09")

	patch := func(levels string) {
		t.Helper()
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "patch", "kubevirt", "kubevirt", "--type=merge", "-p", `{"spec":{"configuration":{"developerConfiguration":{"logVerbosity":`+levels+`}}}}`)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("kubectl", "-n", harness.SystemNamespace, "patch", "kubevirt", "kubevirt", "--type=json", "-p", `[{"op":"remove","path":"/spec/configuration/developerConfiguration/logVerbosity"}]`).CombinedOutput(); err != nil {
			t.Errorf("putting the log levels back: %v\n%s", err, out)
		}
	})
	patch(`{"virtAPI":3,"virtController":4,"virtHandler":5}`)
	for component, want := range map[string]string{"virt-api": "3", "virt-controller": "4", "virt-handler": "5"} {
		eventually(t, component+" logs at another level", time.Minute, func() (string, bool) {
			out := c.Kubectl(t, "", "-n", harness.SystemNamespace, "logs", "-l", "kubevirt.io="+component, "--tail=-1", "--since=2m")
			return out[max(0, len(out)-2000):], strings.Count(out, `"msg":"set verbosity to `+want+`","component":"`+component+`"`) >= 2
		})
	}
	spec.Covers(t, "P4-LOG-03")
}

// TestEvents looks for what a machine, its instance and its pod tell, where the runbooks look.
func TestEvents(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{Null: true}.VM("told", "Always"))
	vmi := c.WaitVMI(t, ns, "told", "running", harness.BootLimit, harness.Running)
	pod := c.LauncherPod(t, vmi)
	for _, what := range [][]string{{"vm", "told"}, {"vmi", "told"}, {"pod", pod.Name}} {
		out := c.Kubectl(t, "", append([]string{"-n", ns, "describe"}, what...)...)
		if _, events, found := strings.Cut(out, "\nEvents:"); !found || !strings.Contains(events, "Normal") {
			t.Errorf("kubectl describe %s shows no events:\n%s", what, out)
		}
	}
	if out := c.Kubectl(t, "", "-n", ns, "get", "events"); !strings.Contains(out, "virtualmachine/told") || !strings.Contains(out, "virtualmachineinstance/told") {
		t.Errorf("kubectl get events:\n%s", out)
	}
	// The kubelet tells of a container after the guest has told of itself.
	c.Kubectl(t, "", "-n", ns, "wait", "--for=condition=Ready", "--timeout=60s", "pod/"+pod.Name)
	lines(t, c.Kubectl(t, "", "-n", ns, "logs", pod.Name, "-c", "compute"))
	spec.Covers(t, "P4-EVENT-02", "P4-EVENT-04", "P4-EVENT-05", "P4-LOG-01")

	// An image that is nowhere is found out where one looks first.
	c.Apply(t, ns, strings.ReplaceAll(harness.Instance{}.VM("imageless", "Always"), harness.TinyImage, "registry.virtplane.local:5000/virtplane/nowhere:devel"))
	c.WaitVM(t, ns, "imageless", "without its image", time.Minute, func(vm *virtv1.VirtualMachine) bool {
		return vm != nil && slices.Contains([]virtv1.VirtualMachinePrintableStatus{"ErrImagePull", "ImagePullBackOff"}, vm.Status.PrintableStatus)
	})
	spec.Covers(t, "P4-LOG-12")

	// A namespace can be deleted with a machine that runs and one that waits in it.
	c.Kubectl(t, "", "delete", "namespace", ns, "--timeout=120s")
}
