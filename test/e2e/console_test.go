package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/spec"
	"github.com/virtplane/virtplane/test/wire"
)

// TestConsole opens the console in both groups and versions, lets it idle for longer than any proxy allows a silent
// stream, and lets a second client take it over.
func TestConsole(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{}.VMI("talk"))
	c.Apply(t, ns, harness.Instance{Null: true}.VMI("alone"))
	c.Apply(t, ns, harness.Instance{Extra: "nodeSelector: {no/such: node}\n"}.VMI("waits"))
	path := func(version, name string) string {
		return wire.Subresource(version, ns, "virtualmachineinstances", name, "console")
	}
	c.WaitVMI(t, ns, "talk", "running", harness.BootLimit, harness.Running)

	t.Run("refused before the guest runs", func(t *testing.T) {
		for name, want := range map[string]int{"waits": http.StatusBadRequest, "nobody": http.StatusNotFound} {
			_, err := c.Wire.Stream(t.Context(), path("v1", name))
			var refused *wire.Refused
			if !errors.As(err, &refused) || refused.Code != want || refused.Status.Message == "" {
				t.Errorf("console of %s: %v, want %d with a message", name, err, want)
			}
		}
	})
	t.Run("all ways in", func(t *testing.T) {
		for _, p := range []string{path("v1", "talk"), path("v1alpha3", "talk"), "/apis/kubevirt.io/v1/namespaces/" + ns + "/virtualmachineinstances/talk/console"} {
			conn, err := c.Wire.Stream(t.Context(), p)
			if err != nil {
				t.Errorf("%s: %v", p, err)
				continue
			}
			conn.Close()
		}
	})
	t.Run("an idle console lives", func(t *testing.T) {
		console := c.Console(t, ns, "talk")
		harness.Shell(t, console)
		noneComesBack := deleted(t, c, ns, "alone")
		time.Sleep(90 * time.Second) // longer than the minute after which silent requests are cut
		noneComesBack()
		if got := harness.Run(t, console, "echo still here"); got != "still here" {
			t.Errorf("after idling the guest says %q", got)
		}
		second := c.Console(t, ns, "talk")
		harness.Shell(t, second)
		if got := harness.Run(t, second, "echo mine"); got != "mine" {
			t.Errorf("the second client gets %q", got)
		}
		lost, cancel := context.WithTimeout(t.Context(), takeoverLimit)
		defer cancel()
		if _, err := console.Run(lost, "echo lost"); err == nil || lost.Err() != nil {
			t.Errorf("the first client still has the console: %v", err)
		}
		spec.Covers(t, "P2-CONSOLE-05", "P2-VMI-07")
	})
	t.Run("virtctl", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), takeoverLimit)
		defer cancel()
		cmd := exec.CommandContext(ctx, "kubectl", "virt", "console", "talk", "-n", ns)
		var said strings.Builder
		cmd.Stderr = &said
		keys, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		screen, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		guest := serial.New(struct {
			io.Reader
			io.Writer
		}{screen, keys})
		if err := guest.Send("echo from-virt\"\"ctl"); err != nil {
			t.Error(err)
		}
		if _, err := guest.Expect(ctx, "(?m)^from-virtctl$"); err != nil {
			t.Error(err)
		}
		if err := guest.Type("\x1d"); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("virtctl ends with %v", err)
		}
		if !strings.Contains(said.String(), "Successfully connected to talk console") {
			t.Errorf("virtctl says:\n%s", &said)
		}
		virt(t, c, ns, "VMI talk was scheduled to pause", "pause", "vmi", "talk")
		c.WaitVMI(t, ns, "talk", "paused", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi != nil && has(virtv1.VirtualMachineInstancePaused, corev1.ConditionTrue)(vmi)
		})
		virt(t, c, ns, "VMI talk was scheduled to unpause", "unpause", "vmi", "talk")
		c.WaitVMI(t, ns, "talk", "running", time.Minute, harness.Running)
		spec.Covers(t, "P1-VCTL-13", "P2-VMI-04")
	})
	t.Run("a read-only user has no console", func(t *testing.T) {
		c.Kubectl(t, "", "-n", ns, "create", "serviceaccount", "viewer")
		c.Kubectl(t, "", "-n", ns, "create", "rolebinding", "viewer", "--clusterrole=view", "--serviceaccount="+ns+":viewer")
		if out, err := c.TryKubectl(t, "", "-n", ns, "get", "vmi", "talk", "--as=system:serviceaccount:"+ns+":viewer"); err != nil {
			t.Errorf("a viewer cannot see the instance: %s", out)
		}
		// Who may get consoles in our own group, as a role with the verbs of reading for everything would allow, may still
		// not type into them: a stream is an act of creation there.
		c.Kubectl(t, "", "-n", ns, "create", "role", "reader", "--verb=get,list,watch", "--resource=virtualmachineinstances.kubevirt.io,virtualmachineinstances.kubevirt.io/console")
		c.Kubectl(t, "", "-n", ns, "create", "rolebinding", "reader", "--role=reader", "--serviceaccount="+ns+":viewer")
		viewer := c.As(t, ns, "viewer")
		for _, p := range []string{path("v1", "talk"), path("v1alpha3", "talk"), "/apis/kubevirt.io/v1/namespaces/" + ns + "/virtualmachineinstances/talk/console"} {
			_, err := viewer.Stream(t.Context(), p)
			var refused *wire.Refused
			if !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
				t.Errorf("%s: %v, want 403", p, err)
			}
		}
	})
}

// takeoverLimit bounds what a client of the console waits for.
const takeoverLimit = time.Minute

// deleted deletes a running instance that nobody owns; what it returns says later whether another has come in its place.
func deleted(t *testing.T, c *harness.Cluster, ns, name string) (noneComesBack func()) {
	t.Helper()
	c.WaitVMI(t, ns, name, "running", harness.BootLimit, harness.Running)
	api := c.Virt.KubevirtV1().VirtualMachineInstances(ns)
	if err := api.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.WaitVMI(t, ns, name, "gone", time.Minute, harness.Gone)
	named := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
	list, err := api.List(t.Context(), named)
	if err != nil {
		t.Fatal(err)
	}
	named.ResourceVersion = list.ResourceVersion
	since, err := api.Watch(t.Context(), named) // one that comes and goes is seen too
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan []watch.Event, 1)
	go func() {
		var events []watch.Event
		for event := range since.ResultChan() {
			if event.Type != watch.Error { // the end of the watch
				events = append(events, event)
			}
		}
		seen <- events
	}()
	return func() {
		t.Helper()
		list, err := api.List(t.Context(), metav1.ListOptions{FieldSelector: named.FieldSelector})
		if err != nil || len(list.Items) > 0 {
			t.Errorf("%d instances in place of the one that was deleted, %v", len(list.Items), err)
		}
		since.Stop()
		if events := <-seen; len(events) > 0 {
			t.Errorf("after %s was deleted there was %+v", name, events)
		}
	}
}

// TestKubectlShapes shows the tables and names that users and scripts rely on.
func TestKubectlShapes(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{Null: true}.VM("shape", "Always"))
	// Nowhere to run: it is only listed.
	c.Apply(t, ns, harness.Instance{Extra: "nodeSelector: {no/such: node}\n"}.VMI("alone"))
	vmi := c.WaitVMI(t, ns, "shape", "running", harness.BootLimit, harness.Running)
	c.WaitVM(t, ns, "shape", "Running", time.Minute, printable("Running"))
	for args, want := range map[string]string{
		"get vm":                             "NAME AGE STATUS READY",
		"get vmi":                            "NAME AGE PHASE IP NODENAME READY",
		"get vmis -o wide":                   "NAME AGE PHASE IP NODENAME READY LIVE-MIGRATABLE PAUSED",
		"get vmis -o name":                   "virtualmachineinstance.kubevirt.io/alone virtualmachineinstance.kubevirt.io/shape",
		"get virtualmachineinstance -o name": "virtualmachineinstance.kubevirt.io/shape",
		"explain vm.spec.runStrategy":        "FIELD: runStrategy",
		"get vmi --field-selector status.nodeName=" + vmi.Status.NodeName + " -o name": "virtualmachineinstance.kubevirt.io/shape",
	} {
		out := c.Kubectl(t, "", append([]string{"-n", ns}, strings.Fields(args)...)...)
		if got := strings.Join(strings.Fields(out), " "); !strings.Contains(got, want) {
			t.Errorf("kubectl %s prints\n%swant %q", args, out, want)
		}
	}
	if vmi.Status.Phase != virtv1.Running {
		t.Errorf("phase %s", vmi.Status.Phase)
	}
	if out := c.Kubectl(t, "", "-n", ns, "delete", "vmi", "alone", "--timeout=60s"); !strings.Contains(out, `virtualmachineinstance.kubevirt.io "alone" deleted`) {
		t.Errorf("kubectl delete vmi prints %q", out)
	}
	spec.Covers(t, "P2-VMI-01", "P2-VMI-08", "P2-VMI-09", "P2-VMI-17", "P2-X-01")
}
