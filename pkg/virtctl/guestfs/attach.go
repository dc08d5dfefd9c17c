package guestfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// attach joins the terminal and the shell until the shell ends, and passes its exit code on.
func attach(ctx context.Context, c *command.Cluster, e *command.Environment, pod string) error {
	// A container with a terminal of its own has one stream of output.
	options := &corev1.PodAttachOptions{Container: container, Stdin: true, Stdout: true, TTY: true}
	target := c.Kube.CoreV1().RESTClient().Get().Resource("pods").Namespace(c.Namespace).Name(pod).SubResource("attach").
		VersionedParams(options, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", target.String())
	if err != nil {
		return fmt.Errorf("attaching to pod %s: %w", pod, err)
	}
	restore, err := command.MakeRaw(e.In)
	if err != nil {
		return err
	}
	defer restore()
	stream := remotecommand.StreamOptions{Stdin: e.In, Stdout: e.Out, Tty: true}
	if file, ok := e.In.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		sizes := newSizes(ctx, file)
		defer sizes.stop()
		stream.TerminalSizeQueue = sizes
	}
	err = executor.StreamWithContext(ctx, stream)
	var exit utilexec.ExitError
	if errors.As(err, &exit) && exit.Exited() && exit.ExitStatus() != 0 {
		return &command.ExitError{Code: exit.ExitStatus(), Program: "the shell"}
	}
	if err != nil {
		return fmt.Errorf("attaching to pod %s: %w", pod, err)
	}
	return nil
}

// sizes tells the size of the terminal, first as it is and then whenever it changes.
type sizes struct {
	ctx     context.Context
	file    *os.File
	changed chan os.Signal
	first   bool
}

func newSizes(ctx context.Context, file *os.File) *sizes {
	s := &sizes{ctx: ctx, file: file, changed: make(chan os.Signal, 1), first: true}
	notifyResize(s.changed)
	return s
}

// Next implements remotecommand.TerminalSizeQueue.
func (s *sizes) Next() *remotecommand.TerminalSize {
	if !s.first {
		select {
		case _, ok := <-s.changed:
			if !ok {
				return nil
			}
		case <-s.ctx.Done():
			return nil
		}
	}
	s.first = false
	width, height, err := term.GetSize(int(s.file.Fd()))
	if err != nil {
		return nil
	}
	return &remotecommand.TerminalSize{Width: uint16(width), Height: uint16(height)}
}

func (s *sizes) stop() {
	stopResize(s.changed)
	close(s.changed)
}
