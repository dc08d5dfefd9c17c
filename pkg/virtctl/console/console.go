// Package console connects a terminal to the serial console of a machine: it waits for one that is about to run, says what it
// waits for, and leaves the terminal as it was.
package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// escape is Ctrl+] (or Ctrl+5), the key that leaves the console.
const escape = 0x1d

// New returns the command console.
func New(e *command.Environment) *cobra.Command {
	timeout, history := 5*time.Minute, false
	cmd := &cobra.Command{
		Use: "console VMI", Short: "Connect to the serial console of a machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Long: "Connects to the serial console of a running machine and waits for one that is about to run, saying what it waits for. Ctrl+] leaves the console; the machine runs on.",
		Example: e.Example(`
  # Log in on the serial console
  {{program}} console web

  # See first what the machine has said before
  {{program}} console web --history

  # Wait at most a minute for the machine to run
  {{program}} console web --timeout 1m`),
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), e, args[0], timeout, history) },
	}
	cmd.Flags().Var((*command.Minutes)(&timeout), "timeout", "how long to wait for the machine to run: a duration, or a number of minutes")
	cmd.Flags().BoolVar(&history, "history", false, "show all that the machine has kept of its console, and not only what nobody has seen yet")
	return cmd
}

// waiter opens the console of one machine.
type waiter struct {
	*command.Cluster
	env  *command.Environment
	name string
	// history says that what others have seen is wanted, too.
	history bool
}

func run(ctx context.Context, e *command.Environment, name string, timeout time.Duration, history bool) error {
	c, err := e.Connect()
	if err != nil {
		return err
	}
	stream, err := (&waiter{c, e, name, history}).open(ctx, timeout)
	if err != nil {
		return err
	}
	defer stream.Abort()
	restore, err := command.MakeRaw(e.In)
	if err != nil {
		return err
	}
	defer restore()
	fmt.Fprintf(e.ErrOut, "Successfully connected to %s console. Press Ctrl+] or Ctrl+5 to exit console.\r\n", name)
	return relay(stream, e.In, e.Out)
}

// open opens the console as soon as the machine runs. While it does not, it prints each new reason once and waits for the
// instance to change instead of asking again and again.
func (w *waiter) open(parent context.Context, timeout time.Duration) (*command.Stream, error) {
	ctx, cancel := context.WithTimeout(parent, timeout)
	defer cancel()
	said, where := "", command.Object(w.Namespace, command.Instances, w.name, "console")
	if w.history {
		where += "?history=true"
	}
	for {
		// The stream outlives the deadline for opening it.
		stream, err := w.Stream(parent, where)
		if err == nil {
			return stream, nil
		}
		var reason, version string
		switch {
		case command.Code(err) == http.StatusNotFound:
			reason, err = w.whyAbsent(ctx, err)
		case worthWaiting(err):
			if reason, version = w.why(ctx); reason == "" {
				reason = err.Error()
			}
			err = nil
		}
		if err != nil {
			return nil, fmt.Errorf("console of %s: %w", w.name, err)
		}
		if reason != said {
			w.env.Say("Waiting for %s: %s", w.name, reason)
			said = reason
		}
		w.waitForChange(ctx, version)
		switch {
		case parent.Err() != nil:
			return nil, context.Cause(parent)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s did not run within %s: %s", w.name, timeout, said)
		}
	}
}

// noConsole is what a machine that was configured without a serial console is refused with, as a bad request like one that
// does not run yet.
const noConsole = "No serial consoles are present"

// worthWaiting says whether a refusal may pass: the instance does not run yet (400), or virt-api or the node is busy.
func worthWaiting(err error) bool {
	if strings.Contains(err.Error(), noConsole) {
		return false
	}
	switch command.Code(err) {
	case http.StatusBadRequest, http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return true
	}
	return false
}

// whyAbsent says what a machine without an instance waits for, or fails if it does not wait for one.
func (w *waiter) whyAbsent(ctx context.Context, absent error) (string, error) {
	vm, err := w.Virt.KubevirtV1().VirtualMachines(w.Namespace).Get(ctx, w.name, metav1.GetOptions{})
	if err != nil {
		return "", absent
	}
	if !starting(vm) {
		return "", fmt.Errorf("the machine is not running; start it: %s start %s", w.env.Program, w.name)
	}
	reason := "it is to start"
	if vm.Status.PrintableStatus != "" {
		reason = fmt.Sprintf("it is %s", vm.Status.PrintableStatus)
	}
	for _, cond := range vm.Status.Conditions {
		if cond.Type == virtv1.VirtualMachineFailure && cond.Status == "True" {
			reason = fmt.Sprintf("%s: %s", cond.Reason, cond.Message)
		}
	}
	return reason, nil
}

// starting says whether a machine without an instance is about to have one.
func starting(vm *virtv1.VirtualMachine) bool {
	asked := slices.ContainsFunc(vm.Status.StateChangeRequests, func(r virtv1.VirtualMachineStateChangeRequest) bool { return r.Action == virtv1.StartRequest })
	switch {
	case asked, vm.Spec.RunStrategy == virtv1.RunStrategyAlways, vm.Spec.Running != nil && *vm.Spec.Running:
		return true
	case vm.Spec.RunStrategy == "", vm.Spec.RunStrategy == virtv1.RunStrategyHalted:
		return false
	}
	// The other strategies start a new machine, or one whose request is being carried out.
	return vm.Status.PrintableStatus != virtv1.VirtualMachineStatusStopped && (vm.Status.PrintableStatus != "" || vm.Spec.RunStrategy != virtv1.RunStrategyManual)
}

// why says in a user's words what an instance waits for, and the resource version that this was read at.
func (w *waiter) why(ctx context.Context) (reason, version string) {
	vmi, err := w.Virt.KubevirtV1().VirtualMachineInstances(w.Namespace).Get(ctx, w.name, metav1.GetOptions{})
	if err != nil {
		return "", ""
	}
	reason = fmt.Sprintf("it is %s", vmi.Status.Phase)
	for _, cond := range vmi.Status.Conditions {
		if cond.Type == virtv1.VirtualMachineInstanceProvisioning && cond.Status == "True" {
			reason = fmt.Sprintf("%s: %s", cond.Reason, cond.Message)
		}
	}
	return reason, vmi.ResourceVersion
}

// retryAfter bounds the wait for a change: what holds the console up may lie outside of the instance.
const retryAfter = 2 * time.Second

func (w *waiter) waitForChange(ctx context.Context, version string) {
	ctx, cancel := context.WithTimeout(ctx, retryAfter)
	defer cancel()
	// Without a version, the watch begins with the instance as it is, or waits until there is one.
	changes, err := w.Virt.KubevirtV1().VirtualMachineInstances(w.Namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", w.name).String(), ResourceVersion: version})
	if err != nil {
		<-ctx.Done() // may use the console but not watch, or the server is away: wait blindly
		return
	}
	defer changes.Stop()
	select {
	case <-changes.ResultChan():
	case <-ctx.Done():
	}
}

// relay copies between a terminal and a console until the user leaves, the guest's console ends, or the connection
// breaks.
func relay(stream *command.Stream, in io.Reader, out io.Writer) error {
	left := make(chan error, 1)
	go func() { left <- sendUntilEscape(stream, in) }()
	received := make(chan error, 1)
	go func() { received <- receive(stream, out) }()
	select {
	case err := <-left:
		if err == nil {
			_ = stream.Close()
			return nil
		}
		if errors.Is(err, io.EOF) { // the input ended: show what the guest still says
			return <-received
		}
		return err
	case err := <-received:
		return err
	}
}

// sendUntilEscape sends what the user types. The escape key may stand anywhere in what one read returns.
func sendUntilEscape(stream io.Writer, in io.Reader) error {
	buf := make([]byte, 1024)
	for {
		n, err := in.Read(buf)
		typed, rest := buf[:n], -1
		if rest = bytes.IndexByte(typed, escape); rest >= 0 {
			typed = typed[:rest]
		}
		if len(typed) > 0 {
			if _, werr := stream.Write(typed); werr != nil {
				return fmt.Errorf("sending to the console: %w", werr)
			}
		}
		if rest >= 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func receive(stream *command.Stream, out io.Writer) error {
	for {
		data, err := stream.Datagram()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, command.ErrDisconnected):
			return fmt.Errorf("you were disconnected from the console; the machine may have stopped, or another client has taken it over: %w", err)
		case err != nil:
			return err
		}
		if _, err := out.Write(data); err != nil {
			return fmt.Errorf("writing what the console says: %w", err)
		}
	}
}
