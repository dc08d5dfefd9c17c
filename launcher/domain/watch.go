package domain

import (
	"context"
	"fmt"
	"time"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qemu"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// eventBuffer holds the events of a guest that reboots a few times while the launcher looks elsewhere.
const eventBuffer = 128

// askTime bounds a question to QEMU that nobody waits for.
const askTime = 15 * time.Second

// watch acts on QEMU's events until the connection ends.
func (d *Domain) watch(mon *qmp.Client, sub *qmp.Subscription) {
	lost := uint64(0)
	for e := range sub.C() {
		d.handle(mon, e)
		if n := sub.Dropped(); n > lost {
			// Ask for what the lost events would have told.
			d.set(func() { d.dropped += n - lost })
			lost = n
			d.handle(mon, qmp.Event{Name: qmp.EventStop})
		}
	}
	d.mu.Lock()
	if d.mon == mon {
		d.mon = nil
	}
	ended := d.isEnded()
	d.mu.Unlock()
	mon.Close()
	if !ended {
		go d.reconnect(mon.Err())
	}
}

// reconnect reaches a monitor again that was lost though QEMU may live.
func (d *Domain) reconnect(why error) {
	for {
		select {
		case <-d.ended:
			return
		case <-time.After(d.Times.Retry):
		}
		d.Log.Warn("Lost QEMU's monitor, connecting again", "err", why)
		mon, err := d.connect(context.Background())
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), askTime)
			err = d.refresh(ctx, mon)
			cancel()
		}
		if err == nil {
			return
		}
		why = err
	}
}

// handle acts on one event.
func (d *Domain) handle(mon *qmp.Client, e qmp.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	switch e.Name {
	case qmp.EventStop, qmp.EventResume:
		if err := d.ask(ctx, mon, e.Name == qmp.EventResume); err != nil {
			d.Log.Debug("Could not ask for state", "event", e.Name, "err", err)
		}
	case qmp.EventReset:
		d.onReset(e)
	case qmp.EventShutdown:
		d.onShutdown(ctx, mon, e)
	case qmp.EventGuestPanicked:
		d.Log.Warn("Guest panicked", "data", string(qmp.Mask(e.Data)))
		d.hear(func(h *heard) {
			h.Panicked = true
			h.note(api.ReasonGuestPanicked, "the guest panicked", orNow(e.Time))
		})
	case qmp.EventGuestCrashLoaded:
		d.Log.Warn("Guest panicked and goes on with its crash kernel", "data", string(qmp.Mask(e.Data)))
		d.hear(func(h *heard) {
			h.note(api.ReasonGuestPanicked, "the guest panicked and goes on with its crash kernel", orNow(e.Time))
		})
	case qmp.EventWatchdog:
		var w qmp.WatchdogData
		if err := e.Decode(&w); err != nil {
			d.Log.Warn("Could not read event", "event", e.Name, "err", err)
		}
		d.Log.Warn("Watchdog of the guest expired", "action", w.Action)
		d.hear(func(h *heard) {
			h.Watchdog, d.barked = w.Action, w.Action == "reset"
			h.note(api.ReasonWatchdogExpired, "the watchdog expired: the guest had not fed it in time; action: "+w.Action, orNow(e.Time))
		})
	case qmp.EventBlockIOError:
		d.onIOError(e)
	case qmp.EventVserportChange:
		var v qmp.VserportData
		if err := e.Decode(&v); err != nil {
			d.Log.Warn("Could not read event", "event", e.Name, "err", err)
		}
		if v.ID == qemu.AgentPortID {
			d.agentChanged(v.Open)
		}
	}
}

// hear keeps what an event has told, also for a launcher that comes later.
func (d *Domain) hear(change func(*heard)) {
	d.set(func() {
		change(&d.rec.Heard)
		d.save()
	})
}

// sameReset is the time in which resets belong together: firmware that is entered by a reset, whoever asked for it, resets the
// machine once or twice more, and QEMU takes that for the guest's.
const sameReset = 10 * time.Second

// onReset notes that the machine was reset. What the guest did itself is an incident, as it looks the same whether it was
// rebooted or fell over; what the watchdog did was told already.
func (d *Domain) onReset(e qmp.Event) {
	var r qmp.ResetData
	if err := e.Decode(&r); err != nil {
		d.Log.Warn("Could not read event", "event", e.Name, "err", err)
	}
	d.noteFrozen(false) // what boots has nothing frozen
	d.hear(func(h *heard) {
		at := orNow(e.Time)
		if r.Guest && !d.barked && at.Sub(h.Reset) > sameReset {
			h.note(api.ReasonGuestReset, "the guest has reset its machine", at)
		}
		h.Reset, d.barked = at, false
	})
}

func orNow(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t
}

// onShutdown notes how the guest ended, or boots it again where a reboot was asked for.
func (d *Domain) onShutdown(ctx context.Context, mon *qmp.Client, e qmp.Event) {
	var s qmp.ShutdownData
	if err := e.Decode(&s); err != nil {
		d.Log.Warn("Could not read event", "event", e.Name, "err", err)
	}
	d.mu.Lock()
	reboot := d.rec.SoftReboot && s.Guest
	if !reboot {
		d.rec.Heard.Shutdown = s.Reason
		d.save()
	}
	d.mu.Unlock()
	d.Log.Info("Guest shut down", "reason", s.Reason, "guest", s.Guest)
	if !reboot {
		return
	}
	if err := d.finishReboot(ctx, mon); err != nil {
		d.Log.Error("Could not boot guest again after it powered down for a reboot", "err", err)
	}
}

// finishReboot boots a machine again that has powered down for a reboot.
func (d *Domain) finishReboot(ctx context.Context, mon *qmp.Client) error {
	if err := mon.SystemReset(ctx); err != nil {
		return fmt.Errorf("resetting: %w", err)
	}
	if err := mon.SetShutdownAction(ctx, qmp.ShutdownPoweroff); err != nil {
		return err
	}
	d.mu.Lock()
	d.rec.SoftReboot = false
	d.save()
	d.mu.Unlock()
	if err := mon.Cont(ctx); err != nil {
		return fmt.Errorf("continuing: %w", err)
	}
	return nil
}

func (d *Domain) onIOError(e qmp.Event) {
	var b qmp.BlockIOErrorData
	if err := e.Decode(&b); err != nil {
		d.Log.Warn("Could not read event", "event", e.Name, "err", err)
	}
	d.Log.Warn("Disk of the guest failed", "node", b.NodeName, "operation", b.Operation, "action", b.Action, "cause", b.Reason)
	if b.Action != "stop" {
		return
	}
	text := fmt.Sprintf("disk %s: %s failed: %s", b.NodeName, b.Operation, b.Reason)
	if b.NoSpace {
		text = fmt.Sprintf("disk %s: %s failed: no space is left on the node or claim", b.NodeName, b.Operation)
	}
	d.hear(func(h *heard) { h.IOError = text })
}

// superviseEnd waits for QEMU's end and for the pod's.
func (d *Domain) superviseEnd(ctx context.Context, s supervise.Status) {
	for {
		if s.TerminateBy != nil {
			d.podTerminated(s.QEMU)
			d.stopBy(ctx, *s.TerminateBy)
		}
		if s.QEMU != nil && s.QEMU.Exit != nil {
			d.end(s.QEMU)
			return
		}
		select {
		case s = <-d.Supervisor.Changes():
		case <-ctx.Done():
			return
		}
	}
}

// podTerminated notes that the guest is to end because its pod is. One that has ended before has not.
func (d *Domain) podTerminated(q *supervise.Process) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec.PodTerminated || d.rec.Guest == nil || q == nil || q.Exit != nil && !q.Exit.Killed {
		return
	}
	d.rec.PodTerminated = true
	d.save()
}

// end publishes the last state, once QEMU's last events were heard.
func (d *Domain) end(q *supervise.Process) {
	d.mu.Lock()
	mon := d.mon
	d.mu.Unlock()
	if mon != nil {
		// The connection has ended with QEMU; what it still held is being read.
		select {
		case <-mon.Done():
		case <-time.After(d.Times.Quit):
		}
		d.awaitWatcher(mon)
	}
	d.closeServers()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.qemu = q
	d.agent.connected = false
	d.publish()
	state, reason, message := d.final()
	d.outcome = supervise.Outcome{Expected: state == api.DomainState_DOMAIN_STATE_SHUTDOWN, Reason: reason, Message: message}
	close(d.ended)
}

// awaitWatcher waits until watch has dealt with the last event of a connection that has ended.
func (d *Domain) awaitWatcher(mon *qmp.Client) {
	deadline := time.After(d.Times.Quit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		done := d.mon != mon
		d.mu.Unlock()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			return
		}
	}
}
