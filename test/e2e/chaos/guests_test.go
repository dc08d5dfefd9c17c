package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/wire"
)

// process is a process that cannot be mistaken for another one that is given its number later.
type process struct {
	pid   int
	start string
}

func newProcess(pid int) (process, error) {
	start, err := startTime(pid)
	return process{pid, start}, err
}

func (p process) alive() bool {
	start, err := startTime(p.pid)
	return err == nil && start == p.start
}

func startTime(pid int) (string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(after)
	const state, start = 0, 19 // fields 3 and 22 of the line
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return fields[start], nil
}

// guards watches over the guests that nobody may disturb: from when one runs until it is told to stop, its QEMU must be
// the same process.
type guards struct {
	s *site

	mu     sync.Mutex
	guests map[string]process
	broken []string
}

func newGuards(s *site) *guards { return &guards{s: s, guests: map[string]process{}} }

// protect begins to watch over a guest that runs.
func (g *guards) protect(ctx context.Context, name string) error {
	found, err := g.s.qemus(ctx, name)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("machine %s is shown as running with %d QEMU processes", name, len(found))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guests[name] = found[0]
	return nil
}

// release ends that, just before the guest is told to stop.
func (g *guards) release(name string) {
	g.look()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.guests, name)
}

// look notes the guests that have died.
func (g *guards) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, p := range g.guests {
		if !p.alive() {
			g.broken = append(g.broken, fmt.Sprintf("%s the guest of machine %s (QEMU %d) died while it was to run", time.Now().Format(time.TimeOnly), name, p.pid))
			delete(g.guests, name)
		}
	}
}

// watch looks until ctx ends.
func (g *guards) watch(ctx context.Context) {
	for ctx.Err() == nil {
		g.look()
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// verdict tells which guests have died since it was last asked.
func (g *guards) verdict() []string {
	g.look()
	g.mu.Lock()
	defer g.mu.Unlock()
	broken := g.broken
	g.broken = nil
	return broken
}

// qemus are the QEMU processes in the launcher pods of a machine, or of all of the namespace for an empty name.
func (s *site) qemus(ctx context.Context, name string) ([]process, error) {
	selector := virtv1.AppLabel + "=virt-launcher"
	if name != "" {
		selector += "," + virtv1.VirtualMachineNameLabel + "=" + name
	}
	list, err := s.Kube.CoreV1().Pods(s.ns).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var found []process
	for _, pod := range list.Items {
		all, err := pods.Processes(string(pod.UID))
		if err != nil {
			return nil, err
		}
		for _, pid := range all {
			if !pods.IsQEMU(pid) {
				continue
			}
			if p, err := newProcess(pid); err == nil {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// bootID reads the identity of a guest's boot through its console, again and again until it gets through.
func (s *site) bootID(ctx context.Context, name string, limit time.Duration) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = poll(ctx, "the shell of guest "+name, func() error {
		conn, err := s.Wire.Stream(ctx, wire.Subresource("v1", s.ns, "virtualmachineinstances", name, "console"))
		if err != nil {
			return err
		}
		defer conn.Close()
		ask, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		console := serial.New(conn)
		// What an earlier client, or this one while the guest booted, left of a line goes with the interrupt.
		if err := console.Type("\x03\r"); err != nil {
			return err
		}
		if _, err := console.Run(ask, "true"); err != nil {
			return err
		}
		id, err = console.Run(ask, "cat /proc/sys/kernel/random/boot_id")
		return err
	})
	return id, err
}
