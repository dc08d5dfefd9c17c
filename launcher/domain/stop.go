package domain

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// Shutdown asks the guest to power down and kills it after the grace period; nil means that of the VMI. It returns at
// once. A guest that is not there needs no stopping.
func (d *Domain) Shutdown(grace *time.Duration) {
	d.mu.Lock()
	wait := time.Duration(0)
	if d.rec.Guest != nil {
		wait = d.rec.Guest.Grace
	}
	d.mu.Unlock()
	if grace != nil {
		wait = max(*grace, 0)
	}
	// The stop outlives the call.
	d.stopBy(context.Background(), time.Now().Add(wait))
}

// stopBy sets the moment at which the guest is killed, unless an earlier one stands.
func (d *Domain) stopBy(ctx context.Context, by time.Time) {
	d.mu.Lock()
	if d.rec.Guest == nil && d.abort != nil {
		d.abort(errStopped)
	}
	if d.rec.Guest == nil || d.isEnded() {
		d.mu.Unlock()
		return
	}
	if d.rec.StopBy.IsZero() || by.Before(d.rec.StopBy) {
		d.rec.StopBy = by
		d.save()
		d.publish()
	}
	d.mu.Unlock()
	d.startStopper(ctx)
}

// startStopper runs the stopper, or tells the one that runs of a new deadline.
func (d *Domain) startStopper(ctx context.Context) {
	d.mu.Lock()
	runs := d.stopping
	d.stopping = true
	d.mu.Unlock()
	if !runs {
		go d.stopper(ctx)
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// stopper presses the power button again and again, because a guest that boots does not hear the first, and kills the
// guest at the end.
func (d *Domain) stopper(ctx context.Context) {
	defer func() {
		d.mu.Lock()
		d.stopping = false
		d.mu.Unlock()
	}()
	for presses := 0; ; {
		d.mu.Lock()
		left := time.Until(d.rec.StopBy)
		mon, qemu := d.mon, d.qemu
		d.mu.Unlock()
		if left <= 0 {
			d.kill(api.ReasonGracePeriodExceeded)
			return
		}
		wait := min(left, d.Times.Press)
		switch {
		case mon != nil:
			if !d.press(ctx, mon, presses) {
				d.kill(api.ReasonKilled)
				return
			}
			presses++
		case qemu != nil:
			wait = min(left, d.Times.Retry) // the monitor comes back, or the end
		}
		select {
		case <-d.ended:
			return
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-time.After(wait):
		case <-d.firstMonitor(mon):
		}
	}
}

// firstMonitor gives a channel that wakes the stopper of a guest that was only being started.
func (d *Domain) firstMonitor(mon *qmp.Client) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if mon != nil || d.connects > 0 {
		return nil
	}
	return d.monReady
}

// press asks the guest once to power down. A guest that is halted could not hear it, and one that never ran has
// nothing to put in order: press says false, and the guest may be killed.
func (d *Domain) press(ctx context.Context, mon *qmp.Client, presses int) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	d.mu.Lock()
	run, connected, neverRan, reboot := d.run, d.agent.connected, d.rec.Started.IsZero(), d.rec.SoftReboot
	d.mu.Unlock()
	if neverRan {
		return false
	}
	if reboot {
		// A reboot that was asked for before is none any more.
		if err := mon.SetShutdownAction(ctx, qmp.ShutdownPoweroff); err != nil {
			d.Log.Warn("Could not turn reboot into shutdown", "err", err)
		}
		d.mu.Lock()
		d.rec.SoftReboot = false
		d.save()
		d.mu.Unlock()
	}
	if run == qmp.StatePaused || run == qmp.StateIOError {
		if err := mon.Cont(ctx); err != nil {
			d.Log.Warn("Could not continue halted guest to let it power down", "err", err)
		}
	}
	d.thawToStop(ctx)
	if err := mon.SystemPowerdown(ctx); err != nil {
		d.Log.Warn("Could not press power button", "err", err)
	}
	if presses == 0 || !connected {
		return true
	}
	if err := d.withAgent(ctx, func(a *agent.Client) error { return a.Shutdown(ctx, agent.Powerdown) }); err != nil {
		d.Log.Warn("Could not shut down by the guest agent", "err", err)
	}
	return true
}

// Kill ends the guest now and returns when QEMU has ended. Without a QEMU it ends the launcher, and with it the pod.
func (d *Domain) Kill(ctx context.Context) error {
	if d.giveUp() {
		return nil
	}
	d.mu.Lock()
	if d.rec.StopBy.IsZero() {
		d.rec.StopBy = time.Now()
		d.publish()
	}
	d.mu.Unlock()
	go d.kill(api.ReasonKilled)
	select {
	case <-d.ended:
		return nil
	case <-ctx.Done():
		return api.Wrap(fmt.Errorf("waiting for QEMU to end: %w", context.Cause(ctx)), codes.Unavailable, api.ReasonUnavailable)
	}
}

// giveUp sees to it that there will never be a guest. It says false where there is a QEMU.
func (d *Domain) giveUp() bool {
	d.mu.Lock()
	if d.qemu == nil && d.abort != nil {
		d.abort(errStopped)
	}
	d.mu.Unlock()
	d.spawning.Lock()
	defer d.spawning.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.qemu != nil {
		return false
	}
	if d.givenUp != nil {
		return true
	}
	d.givenUp = &supervise.Outcome{Reason: api.ReasonNotStarted, Message: "the guest was given up before it was started"}
	if reason := api.ReasonOf(d.failure); d.failure != nil && reason != "" {
		d.givenUp.Reason, d.givenUp.Message = reason, d.failure.Error()
	}
	d.outcome = *d.givenUp
	d.publish()
	close(d.ended)
	return true
}

// kill ends QEMU: in order if it can, which lets it close its images, else by a signal.
func (d *Domain) kill(reason string) {
	d.mu.Lock()
	if d.isEnded() || d.qemu == nil {
		d.mu.Unlock()
		return
	}
	if d.rec.Killed == "" {
		d.rec.Killed = reason
		d.save()
	}
	mon := d.mon
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	if mon != nil {
		quit, cancelQuit := context.WithTimeout(ctx, d.Times.Quit)
		if err := mon.Quit(quit); err != nil {
			d.Log.Warn("Could not tell QEMU to quit", "err", err)
		}
		cancelQuit()
		select {
		case <-d.ended:
			return
		case <-time.After(d.Times.Quit):
		}
	}
	d.Log.Warn("Killing QEMU")
	if err := d.Supervisor.Signal(ctx, syscall.SIGKILL); err != nil {
		d.Log.Error("Could not kill QEMU", "err", err)
	}
}
