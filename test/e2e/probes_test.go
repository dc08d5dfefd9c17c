package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// probeServer has a guest answer probes on port 1500 with the status code of one file, after the seconds of another, and
// write down that it was asked.
var probeServer = []string{
	"mkdir -p /probe/cgi-bin; echo 0 >/probe/slow; echo 200 >/probe/code",
	`printf '#!/bin/sh\necho "$REQUEST_METHOD $REQUEST_URI" >>/probe/asked\nsleep $(cat /probe/slow)\nprintf "HTTP/1.0 $(cat /probe/code) x\\r\\n\\r\\n"\n' >/probe/cgi-bin/index.cgi`,
	"chmod +x /probe/cgi-bin/index.cgi; httpd -h /probe -p 1500",
}

// TestProbeAnswers changes what a guest answers to a readiness probe and looks at what is said of it.
func TestProbeAnswers(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	// No path, as in the manual's example.
	c.Apply(t, ns, harness.Instance{Network: true, Extra: "readinessProbe:\n  httpGet: {port: 1500}\n  periodSeconds: 5\n  timeoutSeconds: 4\n  successThreshold: 3\n"}.VM("answers", "Always"))
	vmi := c.WaitVMI(t, ns, "answers", "running", harness.BootLimit, func(v *virtv1.VirtualMachineInstance) bool {
		return v != nil && v.Status.Phase == virtv1.Running
	})
	guest := lookInto(t, c, ns, "answers")
	asked := func(t *testing.T) int {
		t.Helper()
		n, err := strconv.Atoi(strings.TrimSpace(guest.run(t, "cat /probe/asked 2>/dev/null | wc -l")))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	becomes := func(t *testing.T, ready bool) {
		t.Helper()
		c.WaitVMI(t, ns, "answers", fmt.Sprintf("ready: %v", ready), 2*time.Minute, func(v *virtv1.VirtualMachineInstance) bool {
			return v != nil && harness.Running(v) == ready
		})
	}
	for _, line := range probeServer {
		guest.run(t, line)
	}
	becomes(t, true)
	if got := strings.TrimSpace(guest.run(t, "head -n 1 /probe/asked")); got != "GET /" {
		t.Errorf("without a path the probe asks %q", got)
	}

	for _, step := range []struct {
		code, slow string
		ready      bool
	}{
		{"400", "0", false}, {"399", "0", true}, {"199", "0", false}, {"200", "0", true}, {"200", "30", false},
	} {
		t.Run(step.code+" after "+step.slow+" s", func(t *testing.T) {
			guest.run(t, "echo "+step.code+" >/probe/code; echo "+step.slow+" >/probe/slow")
			before := asked(t)
			becomes(t, step.ready)
			// Three answers in a row decide, both ways; the first of them may have been given before the count.
			if n := asked(t) - before; n < 2 {
				t.Errorf("%d probes have decided", n)
			}
		})
	}

	probe := c.LauncherPod(t, vmi).Spec.Containers[0].ReadinessProbe
	if probe.FailureThreshold != 3 || probe.SuccessThreshold != 3 || probe.PeriodSeconds != 5 || probe.TimeoutSeconds != 4 {
		t.Errorf("the pod has %+v", probe)
	}
	spec.Covers(t, "P4-PROBE-06", "P4-PROBE-12", "P4-PROBE-13", "P4-PROBE-14", "P4-PROBE-15")
}

// TestProbeDefaults applies probes that say nothing of times, as the kubelet gets them.
func TestProbeDefaults(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	manifest := harness.Instance{Network: true, Extra: "readinessProbe:\n  tcpSocket: {port: 80}\n"}.VMI("defaults")
	c.Apply(t, ns, manifest)
	vmi := c.WaitVMI(t, ns, "defaults", "running and ready", harness.BootLimit, harness.Running)
	if p := c.LauncherPod(t, vmi).Spec.Containers[0].ReadinessProbe; p == nil || p.PeriodSeconds != 10 || p.TimeoutSeconds != 1 || p.FailureThreshold != 3 || p.SuccessThreshold != 1 {
		t.Errorf("the pod's probe is %+v", p)
	}
	late := strings.NewReplacer("port: 80}", "port: 80}\n    timeoutSeconds: 10", "name: defaults", "name: late").Replace(manifest)
	if out, err := c.TryKubectl(t, late, "-n", ns, "create", "-f", "-"); err != nil || !strings.Contains(out, "should be less than periodSeconds") {
		t.Errorf("a timeout as long as the period: %v\n%s", err, out)
	}
	spec.Covers(t, "P4-PROBE-11", "P4-PROBE-21")
}

// fragment is the manual's excerpt of an instance's spec.
func fragment(t *testing.T, name string) string {
	t.Helper()
	_, lines, found := strings.Cut(manual(t, name), "\nspec:\n")
	if !found {
		t.Fatalf("%s has no spec", name)
	}
	var out strings.Builder
	for line := range strings.Lines(lines) {
		out.WriteString(strings.TrimPrefix(line, "  "))
	}
	return out.String()
}

// TestManualHealthChecks applies the manual's whole machine with a readiness probe, in whose guest cloud-init starts the server that is
// asked, and stops that server later. The image is a Debian in place of the manual's Fedora: what the manifest installs is there, and
// services are started by runcmd, as Debian's bootcmd comes before the system manager starts any. nc takes a backslash for its own,
// which leaves no line's end in what the manual prints: there are two.
func TestManualHealthChecks(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	const name = "vm-fedora"
	c.Apply(t, ns, strings.NewReplacer("bootcmd:", "runcmd:", `OK\n\n`, `OK\\n\\n`).Replace(manual(t, "p4-14.7.6-virtualmachine-health-checks")))
	c.WaitVM(t, ns, name, "stopped", time.Minute, printable("Stopped"))
	c.Kubectl(t, "", "-n", ns, "patch", "vm", name, "--type=json", "-p", `[
		{"op":"replace","path":"/spec/template/spec/terminationGracePeriodSeconds","value":0},
		{"op":"replace","path":"/spec/template/spec/volumes/0/containerDisk/image","value":"`+harness.DebianImage+`"}]`)
	act(t, c, ns, "virtualmachines", name, "start", "", http.StatusAccepted)
	vmi := c.WaitVMI(t, ns, name, "running", harness.BootLimit, func(v *virtv1.VirtualMachineInstance) bool {
		return v != nil && v.Status.Phase == virtv1.Running
	})
	if harness.Running(vmi) {
		t.Error("it is ready before anybody can have asked")
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	console := c.Console(t, ns, name)
	if err := console.Login(ctx, name, "debian", "fedora"); err != nil {
		t.Fatalf("logging in with the password of the manifest: %v", err)
	}
	ready := c.WaitVMI(t, ns, name, "running and ready", 5*time.Minute, harness.Running)
	pod := c.LauncherPod(t, ready)
	for _, s := range pod.Status.ContainerStatuses {
		for _, cond := range ready.Status.Conditions {
			if s.Name == "compute" && cond.Type == virtv1.VirtualMachineInstanceReady && (s.State.Running == nil || cond.LastTransitionTime.Time.Before(s.State.Running.StartedAt.Add(119*time.Second))) {
				t.Errorf("ready at %s, its container is %+v: the probe's delay is 120 s", cond.LastTransitionTime, s.State)
			}
		}
	}
	peer := c.Peer(t, ns, "peer", pod.Spec.NodeName)
	if got, err := c.Fetch(t, peer, pod.Status.PodIP, 1500, "/"); err != nil || !strings.HasPrefix(got, "HTTP/1.1 200 OK\n\nHello World!") {
		t.Errorf("the guest's server says %q, %v", got, err)
	}
	if _, err := console.Run(ctx, "sudo systemctl stop httpserver"); err != nil {
		t.Fatal(err)
	}
	c.WaitVMI(t, ns, name, "running and not ready", 3*time.Minute, func(v *virtv1.VirtualMachineInstance) bool {
		return v != nil && v.Status.Phase == virtv1.Running && !harness.Running(v)
	})
	spec.Covers(t, "P4-PROBE-19", "P4-PROBE-22", "P4-PROBE-23")
}

// TestManualProbes applies the manual's probes as they are, two of them to one guest: nothing is asked before their delay is
// over, and the guests are ready some answers later.
func TestManualProbes(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{Network: true, Extra: fragment(t, "p4-frag-14.7.2-vmi-readiness-http") + fragment(t, "p4-frag-14.7.4-vmi-liveness-http")}.VMI("web"))
	c.Apply(t, ns, harness.Instance{Network: true, Extra: fragment(t, "p4-frag-14.7.3-vmi-readiness-tcp")}.VMI("port"))
	const delay, period = 120 * time.Second, 20 * time.Second
	guests, started := map[string]*insight{}, map[string]time.Time{}
	for _, name := range []string{"web", "port"} {
		vmi := c.WaitVMI(t, ns, name, "running", harness.BootLimit, func(v *virtv1.VirtualMachineInstance) bool {
			return v != nil && v.Status.Phase == virtv1.Running
		})
		guests[name] = lookInto(t, c, ns, name)
		eventually(t, "the kubelet tells when "+name+" has started", time.Minute, func() (string, bool) {
			for _, s := range c.LauncherPod(t, vmi).Status.ContainerStatuses {
				if s.Name == "compute" && s.State.Running != nil {
					started[name] = s.State.Running.StartedAt.Time
				}
			}
			return "", !started[name].IsZero()
		})
		guests[name].run(t, "mkdir -p /probe; echo well >/probe/healthz; (httpd -f -vv -p 1500 -h /probe 2>/probe/asked &)")
	}
	// Of a connection on which nothing is asked, the web server does not tell. The clock of an emulated guest cannot be believed.
	asked := func() string { return guests["web"].run(t, "cat /probe/asked") }
	time.Sleep(time.Until(started["web"].Add(delay - period)))
	if got := asked(); got != "" && time.Since(started["web"]) < delay {
		t.Errorf("before the delay was over the guest was asked:\n%s", got)
	}
	for _, name := range []string{"web", "port"} {
		vmi := c.WaitVMI(t, ns, name, "running and ready", delay+6*period+harness.BootLimit, harness.Running)
		if name == "web" {
			if got := asked(); strings.Count(got, "\n") < 2 || !strings.Contains(got, "/healthz") {
				t.Errorf("it is ready after it was asked:\n%s", got)
			}
		}
		for _, cond := range vmi.Status.Conditions {
			early := started[name].Add(delay) // how long three answers take is the kubelet's: it asks out of turn when the pod changes
			if cond.Type == virtv1.VirtualMachineInstanceReady && cond.LastTransitionTime.Time.Before(early.Add(-time.Second)) {
				t.Errorf("%s was ready at %s, before %s", name, cond.LastTransitionTime, early)
			}
		}
	}
	spec.Covers(t, "P4-PROBE-10")
}

// TestAgentPing has probes ask the agent for a sign of life. Without its agent the guest is ready no more, and then another
// takes its place.
func TestAgentPing(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	manifest := harness.Instance{Extra: `
readinessProbe: {guestAgentPing: {}, periodSeconds: 5, timeoutSeconds: 4}
livenessProbe: {guestAgentPing: {}, initialDelaySeconds: 60, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
`}.VM("pinged", "Always")
	c.Apply(t, ns, strings.Replace(manifest, harness.TinyImage, harness.TinyAgentImage, 1))
	first := c.WaitVMI(t, ns, "pinged", "running and ready", harness.BootLimit, harness.Running)
	lookInto(t, c, ns, "pinged").run(t, "killall qemu-ga")
	c.WaitVMI(t, ns, "pinged", "running and not ready", harness.BootLimit, func(v *virtv1.VirtualMachineInstance) bool {
		return v != nil && v.UID == first.UID && v.Status.Phase == virtv1.Running && !harness.Running(v)
	})
	c.WaitVMI(t, ns, "pinged", "another instance, which is ready", 2*harness.BootLimit, func(v *virtv1.VirtualMachineInstance) bool {
		return v != nil && v.UID != first.UID && harness.Running(v)
	})
	spec.Covers(t, "P4-PROBE-04", "P4-PROBE-05", "P4-PROBE-20")
}
