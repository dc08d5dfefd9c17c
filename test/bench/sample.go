package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/test/bench/pods"
)

// sample is a machine that has run: what the plain pods copy.
type sample struct {
	pod  *corev1.Pod
	args []string
	// base is the image below the overlay of the root disk, in a known format.
	base, format string
	// qemu is the version of QEMU.
	qemu string
}

// warmUp runs a machine on each of the nodes, so that each has the images, and returns the first. A short run is content
// with that one.
func (t *target) warmUp(ctx context.Context, nodes []string) (sample, error) {
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return sample{}, err
	}
	defer done()
	if t.size.short {
		nodes = nodes[:1]
	}
	var first sample
	for i, node := range nodes {
		s, err := t.sampleMachine(ctx, ns, "warm-"+node, node)
		if err != nil {
			return sample{}, fmt.Errorf("warming up %s: %w", node, err)
		}
		if i == 0 {
			first = s
		}
	}
	return first, nil
}

// sampleMachine runs a machine once.
func (t *target) sampleMachine(ctx context.Context, ns, name, node string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	vmi, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, tiny(name, node), metav1.CreateOptions{})
	if err != nil {
		return sample{}, err
	}
	if _, err := t.waitRunning(ctx, ns, name, startLimit); err != nil {
		return sample{}, err
	}
	var s sample
	if s.pod, err = t.podOf(ctx, ns, string(vmi.UID)); err != nil {
		return sample{}, err
	}
	processes, err := pods.Processes(string(s.pod.UID))
	if err != nil {
		return sample{}, err
	}
	at := slices.IndexFunc(processes, pods.IsQEMU)
	if at < 0 {
		return sample{}, fmt.Errorf("pod %s has no QEMU", s.pod.Name)
	}
	if err := s.read(ctx, processes[at]); err != nil {
		return sample{}, err
	}
	if err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return sample{}, err
	}
	return s, t.waitEmpty(ctx, ns)
}

// read fills in what the running QEMU tells.
func (s *sample) read(ctx context.Context, pid int) error {
	var err error
	if s.args, err = pods.Command(pid); err != nil {
		return err
	}
	s.qemu = qemuVersion(ctx, pid)
	exe, err := pods.Program(pid)
	if err != nil {
		return err
	}
	overlay, err := overlayOf(s.args)
	if err != nil {
		return err
	}
	answer, err := pods.Inside(ctx, pid, filepath.Join(filepath.Dir(exe), "qemu-img"), "info", "--output=json", "--force-share", overlay).Output()
	if err != nil {
		return fmt.Errorf("asking what is below %s: %w", overlay, err)
	}
	s.base, s.format, err = backing(answer)
	return err
}

// backing reads from the answer of qemu-img info what an overlay lies on.
func backing(answer []byte) (path, format string, err error) {
	var info struct {
		Path   string `json:"backing-filename"`
		Format string `json:"backing-filename-format"`
	}
	if err := json.Unmarshal(answer, &info); err != nil {
		return "", "", fmt.Errorf("reading what qemu-img says: %w", err)
	}
	if info.Path == "" || info.Format == "" {
		return "", "", fmt.Errorf("qemu-img tells no image, or no format, below the overlay: %s", answer)
	}
	return info.Path, info.Format, nil
}

// overlayOf finds the writable layer of the root disk in QEMU's command line.
func overlayOf(args []string) (string, error) {
	for _, arg := range args {
		if at := strings.Index(arg, machine.EphemeralDir+"/"); at >= 0 {
			path, _, _ := strings.Cut(arg[at:], `"`)
			path, _, _ = strings.Cut(path, ",")
			return path, nil
		}
	}
	return "", fmt.Errorf("no overlay below %s in %v", machine.EphemeralDir, args)
}

// onKVM says whether the machine runs on KVM; else QEMU translates the guest's code.
func (s sample) onKVM() bool {
	at := slices.Index(s.args, "-accel")
	return at >= 0 && at+1 < len(s.args) && strings.HasPrefix(s.args[at+1], "kvm")
}

// plainPod is a pod like the machine's, with the same images, requests, node and QEMU and nothing of ours.
func (s sample) plainPod(name string) (*corev1.Pod, error) {
	script, err := s.script()
	if err != nil {
		return nil, err
	}
	spec := *s.pod.Spec.DeepCopy()
	spec.NodeName = ""
	spec.TerminationGracePeriodSeconds = ptr.To(int64(0))
	// Nobody writes the condition of a gate into a pod that is no launcher's: such a pod would never be ready.
	spec.ReadinessGates = nil
	// What logs the console stands beside the guest and is ours.
	spec.Containers = spec.Containers[:1]
	c := &spec.Containers[0]
	c.Command, c.Args = []string{"/bin/bash", "-c", script}, nil
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = nil, nil, nil // the launcher answers them
	if s.onKVM() {
		// A launcher is given its device by the node's agent, this pod has it as the host has.
		if err := joinOwners(&spec, kvmDevice); err != nil {
			return nil, err
		}
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, nil
}

// kvmDevice is the host's, and that of its nodes.
const kvmDevice = "/dev/kvm"

// joinOwners puts a pod into the group of a device of this machine.
func joinOwners(spec *corev1.PodSpec, device string) error {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return fmt.Errorf("asking whose %s is: %w", device, err)
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	spec.SecurityContext.SupplementalGroups = append(spec.SecurityContext.SupplementalGroups, int64(st.Gid))
	return nil
}

// script makes the disk's overlay as the launcher does and becomes QEMU with the same arguments, but for the tap. In place
// of starting paused until the launcher lets it run, this QEMU waits for who listens to its serial port, so that on neither
// side anything of the guest goes unheard.
func (s sample) script() (string, error) {
	overlay, err := overlayOf(s.args)
	if err != nil {
		return "", err
	}
	serial := 0
	var out []string
	for i, arg := range s.args {
		previous := ""
		if i > 0 {
			previous = s.args[i-1]
		}
		switch {
		case arg == "-S":
			continue
		case previous == "-netdev":
			id, err := netdevID(arg)
			if err != nil {
				return "", err
			}
			arg = "user,id=" + id
		case previous == "-chardev" && strings.HasPrefix(arg, "socket,id=serial0,"):
			if strings.HasSuffix(arg, ",server=off") { // ours connects to the pod's first process
				arg = "socket,id=serial0,path=" + machine.SocketsDir + "/" + machine.SerialSocket + ",server=on,wait=on"
				serial++
			}
		}
		out = append(out, quote(arg))
	}
	if serial != 1 {
		return "", fmt.Errorf("%d serial sockets that can wait in %v, want one", serial, s.args)
	}
	return fmt.Sprintf("mkdir -p %s && qemu-img create -q -f qcow2 -b %s -F %s %s && exec %s",
		quote(filepath.Dir(overlay)), quote(s.base), quote(s.format), quote(overlay), strings.Join(out, " ")), nil
}

// netdevID reads a network back end's name, in either form that QEMU takes.
func netdevID(arg string) (string, error) {
	if strings.HasPrefix(arg, "{") {
		var netdev struct{ ID string }
		if err := json.Unmarshal([]byte(arg), &netdev); err != nil {
			return "", fmt.Errorf("reading netdev %q: %w", arg, err)
		}
		return netdev.ID, nil
	}
	for part := range strings.SplitSeq(arg, ",") {
		if id, ok := strings.CutPrefix(part, "id="); ok {
			return id, nil
		}
	}
	return "", fmt.Errorf("netdev %q has no id", arg)
}

// quote makes one word of a shell command.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// waitEmpty waits until a namespace has no pod left.
func (t *target) waitEmpty(ctx context.Context, ns string) error {
	for {
		list, err := t.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for pod %s to go: %w", list.Items[0].Name, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
