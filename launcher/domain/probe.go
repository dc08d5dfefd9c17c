package domain

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
)

// Probe asks the agent for a sign of life, or has it run a command.
func (d *Domain) Probe(ctx context.Context, command []string) (*api.ProbeResponse, error) {
	if why := d.excuse(len(command) == 0); why != "" {
		return &api.ProbeResponse{Excused: why, ExitCode: d.lastOutcome(command)}, nil
	}
	if len(command) == 0 {
		return &api.ProbeResponse{}, d.askAgent(ctx, func(a *agent.Client) error { return a.Ping(ctx) })
	}
	if err := d.agentReady(); err != nil {
		return nil, err
	}
	exit, err := d.runInGuest(ctx, command, nil)
	if err != nil {
		return nil, agentError(err)
	}
	code := exit.Code
	if exit.Signal != 0 {
		code = 128 + exit.Signal
	}
	d.keepOutcome(command, int32(code))
	return &api.ProbeResponse{ExitCode: int32(code), Output: exit.Output}, nil
}

// maxOutcomes is more than the commands of an instance's probes.
const maxOutcomes = 8

func (d *Domain) keepOutcome(command []string, code int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.outcomes) >= maxOutcomes {
		clear(d.outcomes)
	}
	d.outcomes[strings.Join(command, "\x00")] = code
}

// lastOutcome is what a command had said before the guest could not be asked: neither does a guest become ready by that, nor
// does it cease to be. One that was never asked has not passed. A sign of life is taken for given.
func (d *Domain) lastOutcome(command []string) int32 {
	if len(command) == 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if code, known := d.outcomes[strings.Join(command, "\x00")]; known {
		return code
	}
	return 1
}

// excuse says why a guest cannot be expected to answer, though nothing is wrong with it. A guest that somebody has halted
// must not be ended for its silence; one that a failed disk has halted may.
func (d *Domain) excuse(ping bool) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.rec.Guest == nil || d.starting || d.isEnded():
		return ""
	case !d.rec.StopBy.IsZero():
		return "the guest is being stopped"
	case ping && (d.run == qmp.StatePaused || d.run == qmp.StatePrelaunch || d.run == qmp.StateShutdown):
		return "the guest is paused"
	case !ping && d.rec.Frozen:
		return "the guest's file systems are frozen, its agent runs no commands"
	}
	return ""
}

// Waits between two looks at whether a command in the guest has ended.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// runInGuest runs a command and waits for its end. The agent is free for others meanwhile.
func (d *Domain) runInGuest(ctx context.Context, command []string, input []byte) (agent.Exit, error) {
	var process agent.Process
	err := d.withAgent(ctx, func(a *agent.Client) (err error) {
		process, err = a.Start(ctx, command, input)
		return err
	})
	for pause := firstLook; err == nil; pause = min(2*pause, lastLook) {
		select {
		case <-d.ended:
			return agent.Exit{}, api.Errorf(codes.FailedPrecondition, api.ReasonEnded, "the guest has ended")
		case <-ctx.Done():
			return agent.Exit{}, fmt.Errorf("command %s still runs in the guest: %w", agent.Clean(command[0]), context.Cause(ctx))
		case <-time.After(pause):
		}
		var exit agent.Exit
		var over bool
		err = d.withAgent(ctx, func(a *agent.Client) (err error) {
			exit, over, err = a.Wait(ctx, process)
			return err
		})
		if err == nil && over {
			return exit, nil
		}
	}
	return agent.Exit{}, err
}
