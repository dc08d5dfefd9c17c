package chaos

import (
	"context"
	"sync"
	"testing"
	"time"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// TestServerAway takes virt-api away. Guests run on, and what one of them does meanwhile is known once it is back.
// VIRTPLANE_CHAOS_AWAY is for how many seconds, 60 at least: the guest leaves a minute after it was told to.
func TestServerAway(t *testing.T) {
	s := newSite(t)
	away := time.Duration(number(t, "VIRTPLANE_CHAOS_AWAY", 60)) * time.Second
	s.Apply(t, s.ns, harness.Instance{Network: true}.VM("stays", "Always"))
	s.Apply(t, s.ns, harness.Instance{}.VM("leaves", "RerunOnFailure"))
	g := newGuards(s)
	uids := map[string]string{}
	for _, name := range []string{"stays", "leaves"} {
		uids[name] = string(s.WaitVMI(t, s.ns, name, "running", harness.BootLimit, harness.Running).UID)
	}
	boot, err := s.bootID(t.Context(), "stays", harness.BootLimit)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.protect(t.Context(), "stays"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { g.watch(ctx) })
	defer func() { stop(); wg.Wait() }()

	console := s.Console(t, s.ns, "leaves")
	harness.Shell(t, console)
	// Typed now, done when nobody is there to see it.
	if err := console.Type("(sleep 60; poweroff) &\r"); err != nil {
		t.Fatal(err)
	}
	scale := func(replicas string) {
		s.Kubectl(t, "", "-n", harness.SystemNamespace, "scale", "deployment/virt-api", "--replicas="+replicas)
	}
	leaving := func(want int, when string) {
		t.Helper()
		if found, err := s.qemus(t.Context(), "leaves"); err != nil || len(found) != want {
			t.Errorf("%s the guest that leaves has %d QEMU processes, want %d: %v", when, len(found), want, err)
		}
	}
	// The tests that follow need it, however this one ends.
	defer scale("2")
	scale("0")
	s.Kubectl(t, "", "-n", harness.SystemNamespace, "wait", "--for=delete", "pods", "-l", "kubevirt.io=virt-api", "--timeout=90s")
	if out, err := s.TryKubectl(t, "", "-n", s.ns, "get", "vm", "--request-timeout=5s"); err == nil {
		t.Errorf("machines are shown without virt-api: %s", out)
	}
	leaving(1, "when virt-api has gone")
	time.Sleep(away)
	leaving(0, "before virt-api comes back")
	for _, broken := range g.verdict() {
		t.Error(broken)
	}
	scale("2")
	s.Kubectl(t, "", "-n", harness.SystemNamespace, "rollout", "status", "deployment/virt-api", "--timeout=110s")
	s.WaitVM(t, s.ns, "leaves", "stopped", 2*time.Minute, func(vm *virtv1.VirtualMachine) bool {
		return vm != nil && vm.Status.PrintableStatus == virtv1.VirtualMachineStatusStopped
	})
	now := s.WaitVMI(t, s.ns, "stays", "running", 2*time.Minute, harness.Running)
	if string(now.UID) != uids["stays"] {
		t.Errorf("the instance is another one")
	}
	if id, err := s.bootID(t.Context(), "stays", 2*time.Minute); err != nil || id != boot {
		t.Errorf("boot id %q, %v; it was %q", id, err, boot)
	}
	for _, broken := range g.verdict() {
		t.Error(broken)
	}
	s.Apply(t, s.ns, harness.Instance{Null: true}.VM("new", "Always"))
	s.WaitVMI(t, s.ns, "new", "running", harness.BootLimit, harness.Running)
	spec.Covers(t, "P5-GEN-15")
}
