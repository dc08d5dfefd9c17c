package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/wire"
)

// stepLimit is how long a machine may take to start or stop while programs around it are killed.
const stepLimit = 8 * time.Minute

// machines start and stop, each by itself, until they are told to rest.
type machines struct {
	s      *site
	guards *guards

	wg sync.WaitGroup

	mu sync.Mutex
	// runs holds what each machine came to rest as.
	runs map[string]bool
	errs []error
}

// start sets the machines going; stop them with rest.
func (m *machines) start(ctx context.Context, names []string, seed uint64) (rest func() error) {
	resting := make(chan struct{})
	for i, name := range names {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		m.wg.Go(func() {
			if err := m.live(ctx, name, r, resting); err != nil {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.errs = append(m.errs, err)
			}
		})
	}
	return func() error {
		close(resting)
		m.wg.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		errs := m.errs
		m.errs = nil
		if len(errs) > 0 {
			return fmt.Errorf("%d machines did not do as told, among them: %w", len(errs), errs[0])
		}
		return nil
	}
}

// live starts and stops a machine in turns. At rest it runs or not, as chance has it.
func (m *machines) live(ctx context.Context, name string, r *rand.Rand, resting <-chan struct{}) error {
	over := func(least, most time.Duration) bool {
		select {
		case <-ctx.Done():
			return true
		case <-resting:
			return true
		case <-time.After(least + time.Duration(r.Int64N(int64(most-least)))):
			return false
		}
	}
	m.mu.Lock()
	runs := m.runs[name]
	m.mu.Unlock()
	end := func(err error) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.runs[name] = runs
		return err
	}
	for !over(0, 5*time.Second) {
		if runs = !runs; runs {
			if err := m.run(ctx, name); err != nil {
				return end(err)
			}
		} else if err := m.stop(ctx, name); err != nil {
			return end(err)
		}
	}
	return end(nil)
}

// run starts a machine and waits until its guest runs.
func (m *machines) run(ctx context.Context, name string) error {
	if err := m.step(ctx, name, "start", "", virtv1.VirtualMachineStatusRunning); err != nil {
		return err
	}
	return m.guards.protect(ctx, name)
}

// stop stops a machine and waits until it has.
func (m *machines) stop(ctx context.Context, name string) error {
	m.guards.release(name)
	return m.step(ctx, name, "stop", `{"gracePeriod":0}`, virtv1.VirtualMachineStatusStopped)
}

// step calls an action until it is accepted, and waits for what comes of it. An answer may be lost with the program that
// gave it: then the action conflicts with itself.
func (m *machines) step(ctx context.Context, name, action, body string, want virtv1.VirtualMachinePrintableStatus) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	began := time.Now()
	err := poll(ctx, fmt.Sprintf("machine %s to accept %s", name, action), func() error {
		resp, err := m.s.Wire.Do(ctx, http.MethodPut, wire.Subresource("v1", m.s.ns, "virtualmachines", name, action), body)
		if err != nil {
			return err
		}
		if resp.Code != http.StatusAccepted && resp.Code != http.StatusConflict {
			return fmt.Errorf("code %d: %s", resp.Code, resp.Body)
		}
		return nil
	})
	if err != nil {
		return err
	}
	accepted := time.Since(began)
	return poll(ctx, fmt.Sprintf("machine %s to be %s (%s was accepted after %s)", name, want, action, accepted.Round(time.Millisecond)), func() error {
		vm, err := m.s.Virt.KubevirtV1().VirtualMachines(m.s.ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if vm.Status.PrintableStatus != want {
			return fmt.Errorf("it is %s", vm.Status.PrintableStatus)
		}
		return nil
	})
}

// resting checks that exactly those instances, pods and QEMU processes are there that belong to the machines that run.
func (m *machines) resting(ctx context.Context, others ...string) error {
	want := map[string]bool{}
	for _, name := range others {
		want[name] = true
	}
	m.mu.Lock()
	for name, runs := range m.runs {
		if runs {
			want[name] = true
		}
	}
	m.mu.Unlock()
	return poll(ctx, "nothing but what belongs to running machines", func() error {
		vmis, err := m.s.Virt.KubevirtV1().VirtualMachineInstances(m.s.ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, vmi := range vmis.Items {
			if !want[vmi.Name] || vmi.Status.Phase != virtv1.Running {
				return fmt.Errorf("instance %s is there, in phase %s", vmi.Name, vmi.Status.Phase)
			}
		}
		pods, err := m.s.Kube.CoreV1().Pods(m.s.ns).List(ctx, metav1.ListOptions{LabelSelector: virtv1.AppLabel + "=virt-launcher"})
		if err != nil {
			return err
		}
		qemus, err := m.s.qemus(ctx, "")
		if err != nil {
			return err
		}
		if len(vmis.Items) != len(want) || len(pods.Items) != len(want) || len(qemus) != len(want) {
			return fmt.Errorf("%d machines run, but there are %d instances, %d launcher pods and %d QEMU processes", len(want), len(vmis.Items), len(pods.Items), len(qemus))
		}
		return nil
	})
}
