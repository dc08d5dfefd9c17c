package virtcontroller

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	handler "github.com/virtplane/virtplane/cmd/virt-handler/app"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/qemu"
	"github.com/virtplane/virtplane/launcher/qmp"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// vhost is how a network card asks for vhost-net.
const vhost = `,"vhost":true`

// TestTrustedKVM takes a machine through what users' clusters do, with the configuration that the manifests give them and not
// under emulation, on a node whose agent is told to trust the device /dev/kvm of this machine, however slow it is: from the
// node's offer to the command line, with which a real QEMU is started halted.
func TestTrustedKVM(t *testing.T) {
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs /dev/kvm: %v", err)
	}
	device.Close()
	program, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	const node = "node-kvm"
	dir, came := playKubelet(t)
	startHandler(t, node, func(o *handler.Options) {
		o.TrustKVM, o.QEMU, o.DevicePluginDir, o.DevRoot, o.SysRoot = true, program, dir, devRoot(t), t.TempDir()
	})
	if n := len(awaitDevices(t, dir, came, "devices.kubevirt.io/kvm")); n != 1000 {
		t.Errorf("the node offers %d devices for KVM", n)
	}
	condition, feature := awaitNode(t, node)
	if condition.Status != corev1.ConditionTrue || condition.Reason != "Trusted" {
		t.Errorf("the node's condition is %+v", condition)
	}

	ns := newNamespace(t)
	for _, model := range []string{"host-passthrough", "host-model", ""} {
		t.Run("model "+model, func(t *testing.T) {
			name := "guest-" + cmp.Or(model, "unsaid")
			vmi, pod := launcherPod(t, ns, name, model, feature)
			compute := pod.Spec.Containers[0].Resources
			for _, resource := range []corev1.ResourceName{"devices.kubevirt.io/kvm", "devices.kubevirt.io/vhost-net", "devices.kubevirt.io/tun"} {
				if got := compute.Limits[resource]; got.Value() != 1 {
					t.Errorf("the pod asks for %s of %s", &got, resource)
				}
			}
			n, err := env.kube.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, selects := pod.Spec.NodeSelector[feature]; !selects || !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(n.Labels)) {
				t.Errorf("the pod selects %v, which the node has not, or not its CPU's %s", pod.Spec.NodeSelector, feature)
			}
			args := commandLine(t, vmi)
			short := strings.TrimPrefix(feature, machine.CPUFeatureLabel)
			for _, want := range []string{"-accel kvm", "-cpu host," + short + "=on", vhost} {
				if !strings.Contains(strings.Join(args, " "), want) {
					t.Errorf("the command line has no %s: %q", want, args)
				}
			}
			if model == "host-passthrough" {
				halted(t, program, args)
			}
		})
	}
}

// devRoot has the devices that a node for virtual machines has. What this machine lacks is played: nobody opens it here.
func devRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "net"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kvm", "net/tun", "vhost-net"} {
		target := filepath.Join("/dev", name)
		if _, err := os.Stat(target); err != nil {
			target = os.DevNull
		}
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// awaitNode waits for what the agent says of the node, and gives the label of a feature of its CPU.
func awaitNode(t *testing.T, name string) (condition corev1.NodeCondition, feature string) {
	t.Helper()
	await(t, "the node has a condition and labels", func() bool {
		node, err := env.kube.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == "KVMUsable" })
		features := slices.Sorted(maps.Keys(node.Labels))
		features = slices.DeleteFunc(features, func(label string) bool { return !strings.HasPrefix(label, machine.CPUFeatureLabel) })
		if at < 0 || len(features) == 0 {
			return false
		}
		condition, feature = node.Status.Conditions[at], features[0]
		return true
	})
	return condition, feature
}

// launcherPod makes a virtual machine and waits for its instance's pod.
func launcherPod(t *testing.T, ns, name, model, feature string) (*virtv1.VirtualMachineInstance, *corev1.Pod) {
	t.Helper()
	vm := parse[virtv1.VirtualMachine](t, fmt.Sprintf(`{metadata: {name: %s}, spec: {runStrategy: Always, template: {spec: {
		domain: {cpu: {model: %q, features: [{name: %q, policy: require}]}, memory: {guest: 64Mi}, devices: {
			disks: [{name: root, disk: {bus: virtio}}], interfaces: [{name: default, masquerade: {}}]}},
		networks: [{name: default, pod: {}}], volumes: [{name: root, containerDisk: {image: "registry.example.com/disk:1"}}]}}}}`,
		name, model, strings.TrimPrefix(feature, machine.CPUFeatureLabel)))
	if _, err := env.virt.KubevirtV1().VirtualMachines(ns).Create(t.Context(), vm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var pod *corev1.Pod
	await(t, "the instance of "+name+" has a pod", func() bool {
		pods, err := env.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: virtv1.VirtualMachineNameLabel + "=" + name})
		if err != nil {
			t.Fatal(err)
		}
		if len(pods.Items) > 0 {
			pod = &pods.Items[0]
		}
		return pod != nil
	})
	vmi, err := env.virt.KubevirtV1().VirtualMachineInstances(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return vmi, pod
}

// commandLine is what the launcher would start QEMU with, in folders of the test, once it has the pod's devices.
func commandLine(t *testing.T, vmi *virtv1.VirtualMachineInstance) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vm") // short: a socket's path holds 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	paths := convert.DefaultPaths()
	paths.Private, paths.Sockets, paths.Ephemeral = dir, dir, dir
	volumes, err := convert.Volumes(vmi, paths)
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]convert.Image{}
	for _, v := range volumes {
		images[v.Name] = convert.Image{Image: qemu.Image{Path: v.ContainerDisk.Overlay, Format: qemu.FormatQcow2}}
	}
	result, err := convert.Machine(convert.Input{VMI: vmi, Images: images, Paths: paths, Now: time.Now(),
		Interfaces: map[string]convert.Interface{"default": {Tap: "tap-trusted", MTU: 1400, Vhost: true}}})
	if err != nil {
		t.Fatal(err)
	}
	args, err := result.Machine.Args()
	if err != nil {
		t.Fatal(err)
	}
	return args
}

// halted starts QEMU with a command line, halted as it always is. A virtual CPU like the host's is more than some nested
// hosts can do, and QEMU says so; the rest of the command line must work on them too. A pod that asks for vhost-net comes to
// no node without it, and QEMU needs it for such a card: here the card goes without where this machine does.
func halted(t *testing.T, program string, args []string) {
	t.Helper()
	prepare(t, args)
	if _, err := os.Stat("/dev/vhost-net"); err != nil {
		t.Logf("without vhost-net: %v", err)
		args = slices.Clone(args)
		at := slices.Index(args, "-netdev") + 1
		args[at] = strings.Replace(args[at], vhost, "", 1)
	}
	err := startQEMU(t, program, args)
	if err == nil {
		t.Log("-accel kvm: QEMU starts with the CPU of the host")
		return
	}
	t.Logf("-accel kvm: QEMU refuses the CPU of the host: %v", err)
	if !regexp.MustCompile(`(?i)kvm|MSR`).MatchString(err.Error()) {
		t.Error("that is not for KVM's sake")
	}
	plain := slices.Clone(args)
	plain[slices.Index(plain, "-cpu")+1] = "qemu64"
	if err := startQEMU(t, program, plain); err != nil {
		t.Errorf("nor does it start with a plain CPU: %v", err)
		return
	}
	t.Log("-accel kvm: QEMU starts with a plain CPU: the device opens, and works or emulates")
}

// prepare makes what a command line names: disks, the tap, and who listens to the serial port.
func prepare(t *testing.T, args []string) {
	t.Helper()
	dir := filepath.Dir(socketOf(t, args, "monitor"))
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	run("qemu-img", "create", "-q", "-f", "qcow2", filepath.Join(dir, "root.qcow2"), "1M")
	run("ip", "tuntap", "add", "tap-trusted", "mode", "tap") // the test is in a network of its own
	l, err := net.Listen("unix", filepath.Join(dir, convert.SerialPort))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

func socketOf(t *testing.T, args []string, id string) string {
	t.Helper()
	for _, arg := range args {
		if rest, ok := strings.CutPrefix(arg, "socket,id="+id+",path="); ok {
			path, _, _ := strings.Cut(rest, ",")
			return path
		}
	}
	t.Fatalf("no socket %s in %q", id, args)
	return ""
}

// startQEMU runs QEMU, asks it whether it uses KVM and has not begun, and ends it. An error is what QEMU says of a command line
// that it does not take.
func startQEMU(t *testing.T, program string, args []string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	socket := socketOf(t, args, "monitor")
	_ = os.Remove(socket)
	cmd := exec.CommandContext(ctx, program, args...)
	var says bytes.Buffer
	cmd.Stderr = &says
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dialing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); stop() }()
	client, err := qmp.Dial(dialing, socket)
	if err == nil {
		defer client.Close()
		err = ask(ctx, client)
	}
	if err != nil {
		cancel()
	}
	if end := <-ended; err == nil && end != nil {
		err = end
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, says.String())
	}
	return nil
}

func ask(ctx context.Context, client *qmp.Client) error {
	status, err := client.QueryStatus(ctx)
	if err != nil {
		return err
	}
	var kvm struct{ Enabled, Present bool }
	if err := client.Execute(ctx, "query-kvm", nil, &kvm); err != nil {
		return err
	}
	if status.Status != qmp.StatePrelaunch || !kvm.Enabled {
		return fmt.Errorf("QEMU is in state %s and says of KVM %+v", status.Status, kvm)
	}
	return client.Quit(ctx)
}
