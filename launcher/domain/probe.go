package domain

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	answer, err := d.probe(ctx, command)
	o := outcome{command: command, code: answer.GetExitCode()}
	switch {
	case err != nil:
		o.failure = agent.Clean(err.Error())
	case o.code != 0:
		o.failure = fmt.Sprintf("it ended with exit code %d", o.code)
		if words := agent.Clean(strings.ReplaceAll(string(answer.GetOutput()), "\n", " ")); words != "" {
			o.failure += ": " + words
		}
	}
	d.keepOutcome(o, err == nil)
	return answer, err
}

func (d *Domain) probe(ctx context.Context, command []string) (*api.ProbeResponse, error) {
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
	return &api.ProbeResponse{ExitCode: int32(code), Output: exit.Output}, nil
}

// outcome is what came of a probe's command.
type outcome struct {
	command []string
	// answered says that the command has ended in the guest once, the last time with this code.
	answered bool
	code     int32
	// failure is why it did not pass when it was last asked, empty if it did; unasked says that the agent was in the way.
	failure string
	unasked bool
}

// maxOutcomes is more than the commands of an instance's probes.
const maxOutcomes = 8

// keepOutcome notes an outcome and publishes a change between failing and passing. A command that goes on to fail may say
// something else each time: what it said first stays.
func (d *Domain) keepOutcome(o outcome, answered bool) {
	key := strings.Join(o.command, "\x00")
	d.set(func() {
		last, known := d.outcomes[key]
		if !known && len(d.outcomes) >= maxOutcomes {
			clear(d.outcomes)
		}
		o.answered, o.unasked = answered || last.answered, !answered
		if !answered {
			o.code = last.code
		}
		if o.failure != "" && last.failure != "" && last.unasked == o.unasked && last.code == o.code {
			o.failure = last.failure
		}
		d.outcomes[key] = o
	})
}

// probeFailures lists the commands that do not pass; mu is held.
func (d *Domain) probeFailures() []*api.ProbeFailure {
	var out []*api.ProbeFailure
	for _, key := range slices.Sorted(maps.Keys(d.outcomes)) {
		if o := d.outcomes[key]; o.failure != "" {
			out = append(out, &api.ProbeFailure{Command: o.command, Message: o.failure})
		}
	}
	return out
}

// lastOutcome is what a command had said before the guest could not be asked: neither does a guest become ready by that, nor
// does it cease to be. One that was never asked has not passed. A sign of life is taken for given.
func (d *Domain) lastOutcome(command []string) int32 {
	if len(command) == 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.outcomes[strings.Join(command, "\x00")]; o.answered {
		return o.code
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
