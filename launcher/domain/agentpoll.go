package domain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qemu"
	"github.com/virtplane/virtplane/launcher/qmp"
)

// agentOpen asks QEMU whether the guest has the agent's port open. Events tell of later changes.
func agentOpen(ctx context.Context, mon *qmp.Client) (bool, error) {
	devices, err := mon.QueryChardev(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range devices {
		if c.Label == qemu.AgentChardev {
			return c.FrontendOpen, nil
		}
	}
	return false, nil
}

// agentChanged notes that the guest has opened or closed the agent's port.
func (d *Domain) agentChanged(open bool) {
	d.mu.Lock()
	if d.agent.connected != open {
		d.agent.connected, d.agent.since, d.agent.info = open, time.Now(), nil
		d.publish()
	}
	d.mu.Unlock()
	kick(d.agent.kick)
	kick(d.creds.kick)
}

// kick wakes whoever waits for c; a second kick before that is the same one.
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pollAgent looks at the guest through its agent while there is one, until QEMU ends: often at first, because a guest
// that boots gets its addresses then, and seldom later.
func (d *Domain) pollAgent() {
	for {
		d.mu.Lock()
		connected, since := d.agent.connected, d.agent.since
		d.mu.Unlock()
		var next <-chan time.Time
		if connected {
			d.lookAtGuest()
			pause := d.Times.PollLater
			if time.Since(since) < time.Minute {
				pause = d.Times.PollSoon
			}
			next = time.After(pause)
		}
		select {
		case <-d.ended:
			return
		case <-d.agent.kick:
		case <-next:
		}
	}
}

// lookAtGuest asks for all that the agent tells. While file systems are frozen it answers nothing else, so that what was
// seen before stays.
func (d *Domain) lookAtGuest() {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	err := d.withAgent(ctx, func(a *agent.Client) error {
		frozen, err := a.Frozen(ctx)
		if err != nil && !refused(err) {
			return err
		}
		d.noteFrozen(frozen)
		if frozen {
			return nil
		}
		info, err := a.Query(ctx)
		if err == nil {
			d.noteInfo(info)
		}
		return err
	})
	if err != nil {
		d.Log.Debug("Guest agent did not answer", "err", err)
	}
}

func (d *Domain) noteInfo(info agent.Info) {
	d.set(func() {
		if d.agent.connected {
			d.agent.info = &info
		}
	})
}

// withAgent lends a connection to the agent, to one at a time.
func (d *Domain) withAgent(ctx context.Context, ask func(*agent.Client) error) error {
	select {
	case d.asking <- struct{}{}:
		defer func() { <-d.asking }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", agent.ErrTimeout, context.Cause(ctx))
	}
	a, err := d.Agent(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	return ask(a)
}

// agentReady says why the agent cannot answer now.
func (d *Domain) agentReady() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.isEnded():
		return api.Errorf(codes.FailedPrecondition, api.ReasonEnded, "the guest has ended")
	case d.rec.Guest == nil || d.starting:
		return api.Errorf(codes.FailedPrecondition, api.ReasonNotRunning, "the guest does not run yet")
	case !d.agent.connected:
		return api.Errorf(codes.FailedPrecondition, api.ReasonAgentUnavailable, "the guest agent is not connected")
	case d.run != qmp.StateRunning:
		return api.Errorf(codes.FailedPrecondition, api.ReasonAgentUnavailable, "the guest's CPUs are halted, its agent cannot answer")
	}
	return nil
}

// refused says whether the agent has answered that it will not, or cannot, do what was asked.
func refused(err error) bool {
	var no *agent.Error
	return errors.As(err, &no)
}

// agentError gives an error of the agent its place in the protocol.
func agentError(err error) error {
	if refused(err) {
		return api.Wrap(err, codes.FailedPrecondition, api.ReasonAgentRefused)
	}
	return api.Wrap(err, codes.Unavailable, api.ReasonAgentUnavailable)
}

// askAgent asks the agent on behalf of a caller.
func (d *Domain) askAgent(ctx context.Context, ask func(*agent.Client) error) error {
	if err := d.agentReady(); err != nil {
		return err
	}
	return agentError(d.withAgent(ctx, ask))
}
