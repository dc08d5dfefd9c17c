package virtctl

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

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// escape is Ctrl+] (or Ctrl+5), the key that leaves the console.
const escape = 0x1d

func (e *environment) newConsole() *cobra.Command {
	timeout := 5 * time.Minute
	cmd := &cobra.Command{
		Use: "console VMI", Short: "Connect to the serial console of a machine", Args: cobra.ExactArgs(1), ValidArgsFunction: e.completeMachines,
		Long: "Connects to the serial console of a running machine and waits for one that is about to run, saying what it waits for. Ctrl+] leaves the console; the machine runs on.",
		Example: e.example(`
  # Log in on the serial console
  {{program}} console web

  # Wait at most a minute for the machine to run
  {{program}} console web --timeout 1m`),
		RunE: func(cmd *cobra.Command, args []string) error { return e.console(cmd.Context(), args[0], timeout) },
	}
	cmd.Flags().Var((*minutes)(&timeout), "timeout", "how long to wait for the machine to run: a duration, or a number of minutes")
	return cmd
}

func (e *environment) console(ctx context.Context, name string, timeout time.Duration) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	conn, err := e.waitForConsole(ctx, c, name, timeout)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	restore, err := makeRaw(e.In)
	if err != nil {
		return fmt.Errorf("switching the terminal to raw mode: %w", err)
	}
	defer restore()
	fmt.Fprintf(e.ErrOut, "Successfully connected to %s console. Press Ctrl+] or Ctrl+5 to exit console.\r\n", name)
	return relay(ctx, conn, e.In, e.Out)
}

// waitForConsole opens the console as soon as the machine runs. While it does not, it prints each new reason once and
// waits for the instance to change instead of asking again and again.
func (e *environment) waitForConsole(ctx context.Context, c *cluster, name string, timeout time.Duration) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	said := ""
	for {
		// The stream outlives the deadline for opening it.
		conn, err := c.stream(context.WithoutCancel(ctx), name, "console")
		if err == nil {
			return conn, nil
		}
		var reason, version string
		switch {
		case code(err) == http.StatusNotFound:
			reason, err = c.whyAbsent(ctx, e.program, name, err)
		case worthWaiting(err):
			if reason, version = c.why(ctx, name); reason == "" {
				reason = err.Error()
			}
			err = nil
		}
		if err != nil {
			return nil, fmt.Errorf("console of %s: %w", name, err)
		}
		if reason != said {
			fmt.Fprintf(e.ErrOut, "Waiting for %s: %s\n", name, reason)
			said = reason
		}
		if err := c.waitForChange(ctx, name, version); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%s did not run within %s: %s", name, timeout, said)
			}
			return nil, err
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
	switch code(err) {
	case http.StatusBadRequest, http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return true
	}
	return false
}

// whyAbsent says what a machine without an instance waits for, or fails if it does not wait for one.
func (c *cluster) whyAbsent(ctx context.Context, program, name string, absent error) (string, error) {
	vm, err := c.clients.KubevirtV1().VirtualMachines(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", absent
	}
	if !starting(vm) {
		return "", fmt.Errorf("the machine is not running; start it: %s start %s", program, name)
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
func (c *cluster) why(ctx context.Context, name string) (reason, version string) {
	vmi, err := c.clients.KubevirtV1().VirtualMachineInstances(c.namespace).Get(ctx, name, metav1.GetOptions{})
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

func (c *cluster) waitForChange(ctx context.Context, name, version string) error {
	ctx, cancel := context.WithTimeout(ctx, retryAfter)
	defer cancel()
	// Without a version, the watch begins with the instance as it is, or waits until there is one.
	w, err := c.clients.KubevirtV1().VirtualMachineInstances(c.namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(), ResourceVersion: version})
	if err != nil {
		<-ctx.Done() // may use the console but not watch, or the server is away: wait blindly
		return parentDone(ctx)
	}
	defer w.Stop()
	select {
	case <-w.ResultChan():
	case <-ctx.Done():
	}
	return parentDone(ctx)
}

// parentDone tells a wait that ended from a command that was given up.
func parentDone(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	return nil
}

// relay copies between a terminal and a console until the user leaves, the guest's console ends, or the connection
// breaks.
func relay(ctx context.Context, conn *websocket.Conn, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(chan error, 1)
	go func() { left <- sendUntilEscape(ctx, conn, in) }()
	received := make(chan error, 1)
	go func() { received <- receive(ctx, conn, out) }()
	select {
	case err := <-left:
		if err == nil {
			conn.Close(websocket.StatusNormalClosure, "")
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
func sendUntilEscape(ctx context.Context, conn *websocket.Conn, in io.Reader) error {
	buf := make([]byte, 1024)
	for {
		n, err := in.Read(buf)
		typed, rest := buf[:n], -1
		if rest = bytes.IndexByte(typed, escape); rest >= 0 {
			typed = typed[:rest]
		}
		if len(typed) > 0 {
			if werr := conn.Write(ctx, websocket.MessageBinary, typed); werr != nil {
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

func receive(ctx context.Context, conn *websocket.Conn, out io.Writer) error {
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			switch {
			case websocket.CloseStatus(err) == websocket.StatusNormalClosure, errors.Is(err, context.Canceled):
				return nil
			case websocket.CloseStatus(err) != -1:
				var closed websocket.CloseError
				errors.As(err, &closed)
				return fmt.Errorf("you were disconnected from the console: %s", closed.Reason)
			}
			return fmt.Errorf("you were disconnected from the console; the machine may have stopped, or another client has taken it over: %w", err)
		}
		if kind != websocket.MessageBinary {
			continue
		}
		if _, err := out.Write(data); err != nil {
			return fmt.Errorf("writing what the console says: %w", err)
		}
	}
}
