package kvmprobe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	// Iterations is how often the loop is run.
	Iterations = 1_000_000
	// Limit is the time that the loop may take: a CPU needs about one millisecond.
	Limit = 100 * time.Millisecond
	// Attempts is how often the loop is tried; the best time counts, for the first ones may meet a cold or busy CPU.
	Attempts = 3
	// Subcommand is the hidden word that makes a program call Child.
	Subcommand = "probe-kvm"

	// hopeless ends the attempts early: no cold or busy CPU explains such a time.
	hopeless = 10 * Limit
	// killWait bounds the wait for a killed child that hangs in the kernel.
	killWait = 2 * time.Second
)

// Result is what the probe found.
type Result struct {
	// Usable says that the device may be offered.
	Usable bool
	// Reason is one word in CamelCase.
	Reason string
	// Message explains the reason to a person.
	Message string
	// Best is the shortest time that the loop took; zero if it never ended.
	Best time.Duration
}

// Reasons of a Result.
const (
	ReasonFast        = "Fast"
	ReasonTooSlow     = "TooSlow"
	ReasonDeadline    = "DeadlineExceeded"
	ReasonUnavailable = "Unavailable"
)

// report is what the child prints.
type report struct {
	Nanoseconds []int64 `json:"nanoseconds,omitempty"`
	Error       string  `json:"error,omitempty"`
}

// Run starts program with args, which must end up in Child, and judges what it reports. It returns within the deadline
// and a little, even if the child cannot be killed.
func Run(ctx context.Context, deadline time.Duration, program string, args ...string) Result {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = killWait
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	done := make(chan error, 1)
	go func() { done <- cmd.Run() }()
	select {
	case err := <-done:
		if ctx.Err() != nil {
			return overdue(deadline)
		}
		return judge(out.Bytes(), strings.TrimSpace(stderr.String()), err)
	case <-time.After(deadline + 2*killWait):
		// The child sleeps uninterruptibly in the kernel; it is left there.
		return overdue(deadline)
	}
}

func overdue(deadline time.Duration) Result {
	return Result{Reason: ReasonDeadline, Message: fmt.Sprintf("the loop of %d iterations did not end within %s", Iterations, deadline)}
}

func judge(out []byte, stderr string, err error) Result {
	var r report
	if jsonErr := json.Unmarshal(out, &r); jsonErr != nil {
		if err == nil {
			err = jsonErr
		}
		return Result{Reason: ReasonUnavailable, Message: fmt.Sprintf("the probe ended without a report: %v: %s", err, stderr)}
	}
	if r.Error != "" {
		return Result{Reason: ReasonUnavailable, Message: r.Error}
	}
	if len(r.Nanoseconds) == 0 {
		return Result{Reason: ReasonUnavailable, Message: "the probe reported no time"}
	}
	best := time.Duration(r.Nanoseconds[0])
	for _, ns := range r.Nanoseconds {
		best = min(best, time.Duration(ns))
	}
	if best > Limit {
		return Result{Reason: ReasonTooSlow, Best: best, Message: fmt.Sprintf(
			"a loop of %d iterations took %s, the limit is %s: this machine emulates guest instructions", Iterations, best.Round(time.Millisecond), Limit)}
	}
	return Result{Usable: true, Reason: ReasonFast, Best: best, Message: fmt.Sprintf("a loop of %d iterations took %s", Iterations, best.Round(time.Microsecond))}
}

// Child measures the device and returns the JSON report that Run expects on standard output.
func Child(device string) []byte {
	r := report{}
	for range Attempts {
		took, err := measure(device)
		if err != nil {
			r = report{Error: err.Error()}
			break
		}
		r.Nanoseconds = append(r.Nanoseconds, took.Nanoseconds())
		if took <= Limit || took >= hopeless {
			break
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		return []byte(`{"error":"the report could not be encoded"}`)
	}
	return append(data, '\n')
}

var errWrongSum = errors.New("the loop computed a wrong sum")
