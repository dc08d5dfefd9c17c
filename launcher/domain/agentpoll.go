package domain

import (
	"context"
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
	select {
	case d.agent.kick <- struct{}{}:
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

func (d *Domain) lookAtGuest() {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	var info agent.Info
	err := d.withAgent(ctx, func(a *agent.Client) (err error) {
		info, err = a.Query(ctx)
		return err
	})
	if err != nil {
		d.Log.Debug("Guest agent did not answer", "err", err)
		return
	}
	d.set(func() {
		if d.agent.connected {
			d.agent.info = &info
		}
	})
}

// withAgent lends a connection to the agent.
func (d *Domain) withAgent(ctx context.Context, ask func(*agent.Client) error) error {
	d.asking.Lock()
	defer d.asking.Unlock()
	a, err := d.Agent(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	return ask(a)
}

// GuestInfo asks the agent now.
func (d *Domain) GuestInfo(ctx context.Context) (*api.GuestInfoResponse, error) {
	d.mu.Lock()
	connected := d.agent.connected
	d.mu.Unlock()
	if !connected {
		return nil, api.Errorf(codes.FailedPrecondition, api.ReasonAgentUnavailable, "the guest agent is not connected")
	}
	var info agent.Info
	err := d.withAgent(ctx, func(a *agent.Client) (err error) {
		info, err = a.Query(ctx)
		return err
	})
	if err != nil {
		return nil, api.Wrap(err, codes.Unavailable, api.ReasonAgentUnavailable)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.agent.connected {
		d.agent.info = &info
		d.publish()
	}
	if d.rec.Guest == nil {
		return nil, api.Errorf(codes.FailedPrecondition, api.ReasonNotRunning, "the guest does not run")
	}
	return &api.GuestInfoResponse{Agent: d.describeAgent(), Interfaces: d.describeInterfaces()}, nil
}
