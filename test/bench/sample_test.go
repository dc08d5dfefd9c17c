package main

import (
	"fmt"
	"os/exec"
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
		Containers: []corev1.Container{{Name: "compute", Image: "launcher", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"virt-launcher"}, Args: []string{"init"}}}}}
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
	if ours.Spec.NodeName != "node-1" || ours.Spec.Containers[0].Command[0] != "virt-launcher" {
		t.Error("the sample has changed")
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
