package domain

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
)

// Freeze has the guest write out its file systems and hold back what is written to them, until Unfreeze, or for no longer
// than after if that is not 0. What is frozen already stays so, and for as long as it was to.
func (d *Domain) Freeze(ctx context.Context, after time.Duration) error {
	release, err := d.exclusive(ctx)
	if err != nil {
		return err
	}
	defer release()
	if d.stopAsked() {
		return api.Errorf(codes.FailedPrecondition, api.ReasonStopRequested, "the guest is being stopped")
	}
	tried := false
	err = d.askAgent(ctx, func(a *agent.Client) error {
		frozen, err := a.Frozen(ctx)
		if err != nil {
			return err
		}
		if frozen {
			d.noteFrozen(true)
			return nil
		}
		tried = true
		if _, err := a.Freeze(ctx); err != nil {
			return err
		}
		d.freezeUntil(after)
		return nil
	})
	if err != nil && tried && api.ReasonOf(err) != api.ReasonAgentRefused {
		// It may freeze yet. Nobody would expect that after this answer, and so it must not stay.
		d.freezeUntil(time.Nanosecond)
	}
	d.startThawer()
	return err
}

// freezeUntil notes that the file systems are frozen, or may be.
func (d *Domain) freezeUntil(after time.Duration) {
	d.set(func() {
		d.rec.Frozen, d.rec.ThawBy = true, time.Time{}
		if after > 0 {
			d.rec.ThawBy = time.Now().Add(after)
		}
		d.save()
	})
}

// Unfreeze ends a freeze. A guest that is not frozen needs none.
func (d *Domain) Unfreeze(ctx context.Context) error {
	return d.askAgent(ctx, func(a *agent.Client) error { return d.thawNow(ctx, a) })
}

func (d *Domain) thawNow(ctx context.Context, a *agent.Client) error {
	frozen, err := a.Frozen(ctx)
	if err != nil {
		return err
	}
	if frozen {
		if _, err := a.Thaw(ctx); err != nil {
			return err
		}
	}
	d.noteFrozen(false)
	return nil
}

// noteFrozen notes what the agent says of the file systems. Who froze them behind our back ends it too.
func (d *Domain) noteFrozen(frozen bool) {
	d.set(func() {
		if d.rec.Frozen == frozen {
			return
		}
		d.rec.Frozen, d.rec.ThawBy = frozen, time.Time{}
		if !frozen && d.rec.ClockBehind {
			d.rec.ClockBehind = false
			go d.setGuestTime()
		}
		d.save()
	})
	kick(d.thaw)
}

// startThawer has a freeze end in time, if it is to end by itself.
func (d *Domain) startThawer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.thawing && d.rec.Frozen && !d.rec.ThawBy.IsZero() {
		d.thawing = true
		go d.thawer()
	}
}

// thawer ends a freeze when its time has come, and tries until the agent has done it.
func (d *Domain) thawer() {
	for {
		d.mu.Lock()
		by := d.rec.ThawBy
		if !d.rec.Frozen || by.IsZero() || d.isEnded() {
			d.thawing = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		wait := time.Until(by)
		if wait <= 0 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*askTime)
			err := d.Unfreeze(ctx)
			cancel()
			if err == nil {
				d.Log.Info("Ended a freeze of the guest's file systems whose time was over")
				continue
			}
			d.Log.Warn("Could not end a freeze of the guest's file systems, trying again", "err", err)
			wait = d.Times.AskAgain
		}
		select {
		case <-d.ended:
		case <-d.thaw:
		case <-time.After(wait):
		}
	}
}

// thawToStop ends a freeze so that the guest can write while it powers down.
func (d *Domain) thawToStop(ctx context.Context) {
	d.mu.Lock()
	frozen := d.rec.Frozen && d.agent.connected
	d.mu.Unlock()
	if !frozen {
		return
	}
	if err := d.withAgent(ctx, func(a *agent.Client) error { return d.thawNow(ctx, a) }); err != nil {
		d.Log.Warn("Could not end a freeze of the guest's file systems to let it power down", "err", err)
	}
}
