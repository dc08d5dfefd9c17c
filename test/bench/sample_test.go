package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// machineArgs are the parts of a command line of ours that matter here.
var machineArgs = []string{
	"qemu-system-x86_64", "-name", "guest=it's mine,debug-threads=on", "-nodefaults", "-S",
	"-chardev", "socket,id=monitor,path=/var/run/kubevirt-private/qmp.sock,server=on,wait=off",
	"-chardev", "socket,id=serial0,path=/var/run/kubevirt-private/serial0.sock,server=off",
	"-netdev", `{"type":"tap","id":"net-default","ifname":"tap0"}`,
	"-blockdev", `{"driver":"qcow2","node-name":"disk-root","file":{"driver":"file","filename":"/var/run/kubevirt-ephemeral-disks/root.qcow2","aio":"threads"}}`,
}

func TestScript(t *testing.T) {
	s := sample{args: machineArgs, base: "/var/run/kubevirt-container-disks/root/disk/disk.qcow2", format: "qcow2"}
	got, err := s.script()
	if err != nil {
		t.Fatal(err)
	}
	// What the shell makes of it, one word a line.
	program := `mkdir() { printf '%s\n' mkdir "$@"; }; qemu-img() { printf '%s\n' qemu-img "$@"; }; exec() { printf '%s\n' exec "$@"; }; ` + got
	out, err := exec.Command("bash", "-c", program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const want = `mkdir
-p
/var/run/kubevirt-ephemeral-disks
qemu-img
create
-q
-f
qcow2
-b
/var/run/kubevirt-container-disks/root/disk/disk.qcow2
-F
qcow2
/var/run/kubevirt-ephemeral-disks/root.qcow2
exec
qemu-system-x86_64
-name
guest=it's mine,debug-threads=on
-nodefaults
-chardev
socket,id=monitor,path=/var/run/kubevirt-private/qmp.sock,server=on,wait=off
-chardev
socket,id=serial0,path=/var/run/kubevirt/virt-serial0,server=on,wait=on
-netdev
user,id=net-default
-blockdev
{"driver":"qcow2","node-name":"disk-root","file":{"driver":"file","filename":"/var/run/kubevirt-ephemeral-disks/root.qcow2","aio":"threads"}}
`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("script (-want +got):\n%s", diff)
	}
}

func TestScriptRefuses(t *testing.T) {
	replaced := func(old, new string) []string {
		var out []string
		for _, arg := range machineArgs {
			out = append(out, strings.ReplaceAll(arg, old, new))
		}
		return out
	}
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"no overlay", replaced("kubevirt-ephemeral-disks", "elsewhere"), "no overlay below"},
		{"no serial socket", replaced("serial0", "other"), "0 serial sockets that can wait"},
		{"a serial socket of another form", replaced("server=off", "reconnect=1"), "0 serial sockets that can wait"},
		{"a network without a name", replaced(`{"type":"tap","id":"net-default","ifname":"tap0"}`, "tap"), `netdev "tap" has no id`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := (sample{args: tc.args}).script(); !strings.Contains(fmt.Sprint(err), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestPlainPod(t *testing.T) {
	ours := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "node-1", NodeSelector: map[string]string{"kubernetes.io/hostname": "node-1"},
		ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "kubevirt.io/virtual-machine-unpaused"}},
		Containers: []corev1.Container{{Name: "compute", Image: "launcher", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"virt-launcher"}, Args: []string{"init"},
			ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"virt-launcher", "probe"}}}}}}}}
	s := sample{pod: ours, args: machineArgs, base: "/disk.qcow2", format: "qcow2"}
	got, err := s.plainPod("peer")
	if err != nil {
		t.Fatal(err)
	}
	c := got.Spec.Containers[0]
	if got.Name != "peer" || got.Spec.NodeName != "" || got.Spec.NodeSelector["kubernetes.io/hostname"] != "node-1" {
		t.Errorf("pod %s on %q by %v, want it to be scheduled to node-1", got.Name, got.Spec.NodeName, got.Spec.NodeSelector)
	}
	if c.Image != "launcher" || c.ImagePullPolicy != corev1.PullIfNotPresent || len(c.Command) != 3 || len(c.Args) != 0 {
		t.Errorf("container %v", c)
	}
	if len(got.Spec.ReadinessGates) != 0 || c.ReadinessProbe != nil {
		t.Errorf("the pod's readiness waits for %v and %v, which only a machine's pod is given", got.Spec.ReadinessGates, c.ReadinessProbe)
	}
	if got.Spec.SecurityContext != nil {
		t.Errorf("the pod of a machine without KVM has %v", got.Spec.SecurityContext)
	}
	if ours.Spec.NodeName != "node-1" || ours.Spec.Containers[0].Command[0] != "virt-launcher" {
		t.Error("the sample has changed")
	}
}

func TestOnKVM(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want bool
	}{
		{[]string{"qemu-system-x86_64", "-accel", "kvm"}, true},
		{[]string{"qemu-system-x86_64", "-accel", "tcg,thread=multi"}, false},
		{[]string{"qemu-system-x86_64", "-accel"}, false},
		{nil, false},
	} {
		if got := (sample{args: tc.args}).onKVM(); got != tc.want {
			t.Errorf("%v: on KVM is %v", tc.args, got)
		}
	}
}

func TestJoinOwners(t *testing.T) {
	file := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(file, nil, 0o660); err != nil {
		t.Fatal(err)
	}
	want := []int64{int64(os.Getgid())}
	if os.Geteuid() == 0 {
		if err := os.Chown(file, -1, 4242); err != nil {
			t.Fatal(err)
		}
		want[0] = 4242
	}
	var spec corev1.PodSpec
	if err := joinOwners(&spec, file); err != nil || !slices.Equal(spec.SecurityContext.SupplementalGroups, want) {
		t.Errorf("%v, %v, want groups %v", spec.SecurityContext, err, want)
	}
	if err := joinOwners(&spec, file+"-absent"); err == nil {
		t.Error("no error for a device that is not there")
	}
}

func TestBacking(t *testing.T) {
	for _, tc := range []struct{ name, answer, path, format, err string }{
		{"both", `{"format":"qcow2","backing-filename":"/disk/a.raw","full-backing-filename":"/disk/a.raw","backing-filename-format":"raw"}`, "/disk/a.raw", "raw", "<nil>"},
		{"no format", `{"backing-filename":"/disk/a.raw"}`, "", "", "qemu-img tells no image, or no format"},
		{"no answer", ``, "", "", "reading what qemu-img says"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, format, err := backing([]byte(tc.answer))
			if path != tc.path || format != tc.format || !strings.HasPrefix(fmt.Sprint(err), tc.err) {
				t.Errorf("%q, %q, %v", path, format, err)
			}
		})
	}
}
