package agent

import (
	"context"
	"errors"
	"fmt"
)

// Process is a command that runs in the guest. The agent that started it knows it by its number, over any connection.
type Process int64

// Exit is how a command in the guest has ended.
type Exit struct {
	Code int
	// Signal is what has ended it, 0 if it ended by itself.
	Signal int
	// Output is the beginning of what it wrote, first to its standard output, then to its standard error.
	Output []byte
}

// maxOutput bounds what is kept of a command's words, of each of the two streams.
const maxOutput = 32 << 10

// Start runs a command in the guest as the agent's user, which usually is root. input may be empty.
func (c *Client) Start(ctx context.Context, command []string, input []byte) (Process, error) {
	if len(command) == 0 {
		return 0, errors.New("guest agent: no command to run")
	}
	arguments := map[string]any{"path": command[0], "capture-output": true}
	if len(command) > 1 {
		arguments["arg"] = command[1:]
	}
	if len(input) > 0 {
		arguments["input-data"] = input // base64, as JSON has bytes
	}
	var answer struct {
		PID int64 `json:"pid"`
	}
	if err := c.Execute(ctx, "guest-exec", arguments, &answer); err != nil {
		return 0, err
	}
	if answer.PID <= 0 {
		return 0, fmt.Errorf("%w: guest-exec: process %d", ErrAnswer, answer.PID)
	}
	return Process(answer.PID), nil
}

// Wait tells how a command has ended, and false while it runs. Its end is told once.
func (c *Client) Wait(ctx context.Context, p Process) (Exit, bool, error) {
	var answer struct {
		Exited bool   `json:"exited"`
		Code   int    `json:"exitcode"`
		Signal int    `json:"signal"`
		Out    []byte `json:"out-data"`
		Err    []byte `json:"err-data"`
	}
	if err := c.Execute(ctx, "guest-exec-status", map[string]any{"pid": int64(p)}, &answer); err != nil {
		return Exit{}, false, err
	}
	out := append(answer.Out[:min(len(answer.Out), maxOutput)], answer.Err[:min(len(answer.Err), maxOutput)]...)
	return Exit{Code: answer.Code, Signal: answer.Signal, Output: out}, answer.Exited, nil
}
