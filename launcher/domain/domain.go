package domain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// Domain is one guest. Its methods may be called from any goroutine.
type Domain struct {
	Config

	// op holds a token of whoever changes what the guest does: starting, pausing, resetting.
	op chan struct{}
	// connecting and asking serialize the connections to the monitor and to the agent: QEMU serves one at a time.
	connecting sync.Mutex
	asking     chan struct{}
	// spawning is held from the decision to start QEMU until it is known whether there is one.
	spawning sync.Mutex

	mu  sync.Mutex
	rec record
	// qemu is nil until QEMU was started.
	qemu     *supervise.Process
	restarts int
	mon      *qmp.Client
	monReady chan struct{} // closed when mon was set
	run      qmp.RunState
	starting bool
	abort    context.CancelCauseFunc // of the start that goes on
	failure  error                   // of the last start
	dropped  uint64                  // events of QEMU
	connects int                     // to the monitor so far
	barked   bool                    // the watchdog is about to reset the machine
	servers  []io.Closer
	machine  string
	version  string // of QEMU
	agent    agentView
	creds    credentialsView
	thawing  bool               // the thawer runs
	outcomes map[string]outcome // of the probes' commands, when they were last run
	leases   map[string]time.Time
	settling map[string]*settling // what is told of an interface's DHCP
	wake     chan struct{}        // tells the stopper of a new deadline
	thaw     chan struct{}        // tells the thawer of a new deadline
	stopping bool                 // the stopper runs
	// givenUp is set once there will never be a QEMU.
	givenUp *supervise.Outcome

	event   *api.Event
	changed chan struct{}
	ended   chan struct{}
	outcome supervise.Outcome
}

// agentView is what is known of the guest agent.
type agentView struct {
	connected bool
	since     time.Time
	info      *agent.Info
	kick      chan struct{}
}

// New makes a domain. Start must be called before anything else.
func New(c Config) *Domain {
	d := &Domain{
		Config: c, op: make(chan struct{}, 1), monReady: make(chan struct{}), changed: make(chan struct{}), ended: make(chan struct{}),
		wake: make(chan struct{}, 1), thaw: make(chan struct{}, 1), leases: map[string]time.Time{}, settling: map[string]*settling{}, outcomes: map[string]outcome{}, asking: make(chan struct{}, 1),
		agent: agentView{kick: make(chan struct{}, 1)}, creds: credentialsView{kick: make(chan struct{}, 1)},
	}
	if d.Threads == nil {
		d.Threads = threadsOf
	}
	if d.Affinity == nil {
		d.Affinity = setAffinity
	}
	d.mu.Lock()
	d.publish()
	d.mu.Unlock()
	return d
}

// Ended is closed when QEMU has ended, or none will be started, and the last event says how.
func (d *Domain) Ended() <-chan struct{} { return d.ended }

// QEMUVersion is the version of the QEMU that runs, empty before.
func (d *Domain) QEMUVersion() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version
}

// Outcome is what the pod's first process should be told after Ended.
func (d *Domain) Outcome() supervise.Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outcome
}

// Current gives the present state and a channel that is closed when it changes. The event must not be written to.
func (d *Domain) Current() (*api.Event, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.event, d.changed
}

// save writes the record; mu is held.
func (d *Domain) save() {
	if err := saveRecord(d.StateFile, d.rec); err != nil {
		// The guest runs on; only a launcher that dies now would know less.
		d.Log.Error("Could not save state", "err", err)
	}
}

// monitor gives the connection to QEMU, or the reason why there is none.
func (d *Domain) monitor() (*qmp.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.isEnded():
		return nil, api.Errorf(codes.FailedPrecondition, api.ReasonEnded, "the guest has ended")
	case d.rec.Guest == nil || d.starting:
		return nil, api.Errorf(codes.FailedPrecondition, api.ReasonNotRunning, "the guest does not run yet")
	case d.mon == nil:
		return nil, api.Errorf(codes.Unavailable, api.ReasonUnavailable, "QEMU's monitor does not answer")
	}
	return d.mon, nil
}

// isEnded tells whether QEMU has ended, or will never be started; mu is held.
func (d *Domain) isEnded() bool { return d.givenUp != nil || d.qemu != nil && d.qemu.Exit != nil }

// Pause halts the guest's CPUs.
func (d *Domain) Pause(ctx context.Context) error {
	return d.operate(ctx, "pausing", func(mon *qmp.Client) error {
		if d.stopAsked() {
			return api.Errorf(codes.FailedPrecondition, api.ReasonStopRequested, "the guest is being stopped")
		}
		if err := mon.Stop(ctx); err != nil {
			return err
		}
		return d.refresh(ctx, mon)
	})
}

// Unpause lets the guest's CPUs run again, whatever had halted them.
func (d *Domain) Unpause(ctx context.Context) error {
	return d.operate(ctx, "unpausing", func(mon *qmp.Client) error {
		if err := mon.Cont(ctx); err != nil {
			return err
		}
		d.mu.Lock()
		d.markStarted()
		d.mu.Unlock()
		err := d.refreshResumed(ctx, mon)
		go d.setGuestTime()
		return err
	})
}

// Reset presses the reset button.
func (d *Domain) Reset(ctx context.Context) error {
	return d.operate(ctx, "resetting", func(mon *qmp.Client) error { return mon.SystemReset(ctx) })
}

// SoftReboot asks the guest to reboot. Without an agent the guest is asked to power down, and QEMU is told before to
// stay, so that the machine can be reset in its place.
func (d *Domain) SoftReboot(ctx context.Context) error {
	return d.operate(ctx, "rebooting", func(mon *qmp.Client) error {
		if d.stopAsked() {
			return api.Errorf(codes.FailedPrecondition, api.ReasonStopRequested, "the guest is being stopped")
		}
		d.mu.Lock()
		connected := d.agent.connected
		d.mu.Unlock()
		if connected {
			err := d.withAgent(ctx, func(a *agent.Client) error { return a.Shutdown(ctx, agent.Reboot) })
			if err == nil {
				return nil
			}
			d.Log.Warn("Could not reboot by the guest agent, pressing the power button", "err", err)
		}
		if err := mon.SetShutdownAction(ctx, qmp.ShutdownPause); err != nil {
			return err
		}
		d.mu.Lock()
		d.rec.SoftReboot = true
		d.save()
		d.mu.Unlock()
		return mon.SystemPowerdown(ctx)
	})
}

// operate does one thing at a time to a guest that runs.
func (d *Domain) operate(ctx context.Context, what string, do func(*qmp.Client) error) error {
	release, err := d.exclusive(ctx)
	if err != nil {
		return err
	}
	defer release()
	mon, err := d.monitor()
	if err != nil {
		return err
	}
	if err := do(mon); err != nil {
		code := codes.Unavailable
		var refused *qmp.Error
		if errors.As(err, &refused) {
			code = codes.FailedPrecondition
		}
		return api.Wrap(fmt.Errorf("%s the guest: %w", what, err), code, api.ReasonUnavailable)
	}
	return nil
}

// exclusive waits until nobody else changes what the guest does.
func (d *Domain) exclusive(ctx context.Context) (release func(), err error) {
	select {
	case d.op <- struct{}{}:
		return func() { <-d.op }, nil
	case <-ctx.Done():
		return nil, api.Wrap(fmt.Errorf("waiting for another operation on the guest: %w", context.Cause(ctx)), codes.Unavailable, api.ReasonUnavailable)
	}
}

// refresh asks QEMU what the machine does and publishes it.
func (d *Domain) refresh(ctx context.Context, mon *qmp.Client) error {
	return d.ask(ctx, mon, false)
}

// refreshResumed is refresh for CPUs that were let run. If a disk has failed since, that is left to the events that are on
// their way: they name the disk.
func (d *Domain) refreshResumed(ctx context.Context, mon *qmp.Client) error {
	return d.ask(ctx, mon, true)
}

func (d *Domain) ask(ctx context.Context, mon *qmp.Client, resumed bool) error {
	s, err := mon.QueryStatus(ctx)
	if err != nil || resumed && s.Status == qmp.StateIOError {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run = s.Status
	if d.rec.Run != s.Status && d.rec.Guest != nil {
		d.rec.Run = s.Status
		d.save()
	}
	d.publish()
	return nil
}

// markStarted notes the first time that the CPUs run; mu is held.
func (d *Domain) markStarted() {
	if d.rec.Started.IsZero() {
		d.rec.Started = time.Now()
		d.save()
	}
}

func (d *Domain) stopAsked() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.rec.StopBy.IsZero() || d.givenUp != nil
}
