// Package graphics holds the commands that show the screen of a machine: a viewer on it, a proxy for any other viewer, and a
// picture of it.
package graphics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// firstConnection is how long a viewer may take until it connects.
const firstConnection = time.Minute

type vnc struct {
	env       *command.Environment
	proxyOnly bool
	preserve  bool
	port      int
	address   string
	viewer    viewer
}

// New returns the command vnc.
func New(e *command.Environment) *cobra.Command {
	v := &vnc{env: e, address: "127.0.0.1"}
	cmd := &cobra.Command{
		Use: "vnc VMI", Short: "Show the screen of a machine in a VNC viewer", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteInstances,
		Long: "Starts a VNC viewer of this machine (remote-viewer of the package virt-viewer; on macOS also TigerVNC, Chicken and RealVNC) on the screen of a virtual machine. With --proxy-only it prints the port that any viewer can connect to, and serves it until Ctrl+C.",
		Example: e.Example(`
  # Start the viewer
  {{program}} vnc web

  # Only the proxy: prints {"port":N} for a viewer of your choice
  {{program}} vnc web --proxy-only

  # The proxy at a port of your choice
  {{program}} vnc web --proxy-only --port 5901

  # A picture of the screen
  {{program}} vnc screenshot web --file web.png

  # Why does it not connect?
  {{program}} vnc web -v 4`),
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().BoolVar(&v.proxyOnly, "proxy-only", false, "start no viewer; print the port to connect to as JSON")
	cmd.Flags().IntVar(&v.port, "port", 0, "local port of the proxy; 0 takes one that is free")
	cmd.Flags().StringVar(&v.address, "address", v.address, "local address of the proxy; 0.0.0.0 lets other computers connect")
	cmd.Flags().BoolVar(&v.preserve, "preserve-session", false, "fail instead of taking the screen away from someone who is connected")
	cmd.Flags().StringVar(&v.viewer.kind, "vnc-type", "", "kind of viewer at --vnc-path: tiger, chicken, real or remote-viewer")
	cmd.Flags().StringVar(&v.viewer.path, "vnc-path", "", "viewer to start, of the kind of --vnc-type")
	cmd.MarkFlagsRequiredTogether("vnc-type", "vnc-path")
	cmd.AddCommand(newScreenshot(e))
	return cmd
}

func (v *vnc) run(ctx context.Context, name string) error {
	if v.port < 0 || v.port > 65535 {
		return command.Usagef("--port must be from 0 to 65535, not %d", v.port)
	}
	var start []string
	if !v.proxyOnly {
		found, err := v.viewer.find()
		if err != nil {
			return err
		}
		start = found
	}
	c, err := v.env.Connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(v.address, fmt.Sprint(v.port)))
	if err != nil {
		return fmt.Errorf("listening for a viewer: %w", err)
	}
	defer listener.Close()
	go func() { <-ctx.Done(); listener.Close() }()
	// Opened before anything is started, so that a refusal is what the user sees.
	target := command.Target{Kind: command.KindVMI, Name: name, Namespace: c.Namespace}
	where := "vnc"
	if v.preserve {
		where += "?preserveSession=true"
	}
	stream, err := c.Open(ctx, target, where)
	if err != nil {
		return err
	}
	defer stream.Abort()
	stream.ReadAhead()
	port := listener.Addr().(*net.TCPAddr).Port
	if v.proxyOnly {
		text, err := json.Marshal(map[string]int{"port": port})
		if err != nil {
			return err
		}
		fmt.Fprintln(v.env.Out, string(text))
		return v.serve(ctx, c, target, where, listener, stream)
	}
	return v.view(ctx, start, port, listener, stream)
}

// serve lets viewers connect one after the other, until Ctrl+C. The first uses the stream that is open; each further one
// gets one of its own.
func (v *vnc) serve(ctx context.Context, c *command.Cluster, target command.Target, where string, listener net.Listener, stream *command.Stream) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil // Ctrl+C is how it is meant to end
			}
			return fmt.Errorf("waiting for a viewer: %w", err)
		}
		v.env.Trace(2, "a viewer connected from %s", conn.RemoteAddr())
		if stream == nil {
			if stream, err = c.Open(ctx, target, where); err != nil {
				conn.Close()
				return err
			}
		}
		if err := command.Join(conn, stream, 0, func() { conn.Close() }); err != nil && ctx.Err() == nil {
			v.env.Say("The screen's connection ended: %v", err)
		}
		stream = nil
	}
}

// view runs the viewer on the stream and ends with it.
func (v *vnc) view(parent context.Context, start []string, port int, listener net.Listener, stream *command.Stream) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	args := v.viewer.arguments(v.address, port)
	v.env.Trace(4, "starting %q %q", start, args)
	cmd := exec.CommandContext(ctx, start[0], append(start[1:], args...)...)
	cmd.Stdout, cmd.Stderr = v.env.ErrOut, v.env.ErrOut
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the viewer: %w", err)
	}
	joined := make(chan error, 1)
	go func() {
		if tcp, ok := listener.(*net.TCPListener); ok {
			_ = tcp.SetDeadline(time.Now().Add(firstConnection))
		}
		conn, err := listener.Accept()
		if err != nil {
			joined <- fmt.Errorf("%s did not connect within %s", start[0], firstConnection)
			return
		}
		v.env.Trace(2, "the viewer connected")
		joined <- command.Join(conn, stream, 0, func() { conn.Close() })
	}()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-parent.Done():
		<-ended // it was killed
		return nil
	case err := <-ended:
		return viewerEnd(start[0], err)
	case err := <-joined:
		// The screen is gone: the viewer may still show why, or ask whether to connect again.
		if err == nil {
			err = <-ended
			if parent.Err() != nil {
				return nil // it was killed
			}
			return viewerEnd(start[0], err)
		}
		cancel()
		<-ended
		return err
	}
}

// viewerEnd says how a viewer ended.
func viewerEnd(viewer string, err error) error {
	switch {
	case err != nil && !hasDisplay():
		return fmt.Errorf("%s: %w; there is no display here: over ssh, forward X with ssh -X, or use --proxy-only", viewer, err)
	case err != nil:
		return fmt.Errorf("%s: %w", viewer, err)
	}
	return nil
}

func newScreenshot(e *command.Environment) *cobra.Command {
	var file string
	var moveCursor bool
	cmd := &cobra.Command{
		Use: "screenshot VMI", Short: "Take a picture (PNG) of the screen of a machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteInstances,
		Example: e.Example(`
  # Into a file
  {{program}} vnc screenshot web --file web.png

  # To another program; wake a screen that sleeps first
  {{program}} vnc screenshot web --move-cursor --file - | display`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return command.Usagef("--file is missing: name the file for the picture, - for standard output")
			}
			if file == "-" && command.IsTerminal(e.Out) {
				return command.Usagef("a picture would garble the terminal: name a file")
			}
			c, err := e.Connect()
			if err != nil {
				return err
			}
			target := command.Target{Kind: command.KindVMI, Name: args[0], Namespace: c.Namespace}
			picture, err := c.Get(cmd.Context(), target.Path("vnc/screenshot")+fmt.Sprintf("?moveCursor=%t", moveCursor), nil)
			if err != nil {
				return fmt.Errorf("screenshot of %s: %w", args[0], c.Explain(cmd.Context(), target, err))
			}
			if kind := http.DetectContentType(picture); kind != "image/png" {
				return fmt.Errorf("screenshot of %s: the server sent %s instead of a picture", args[0], kind)
			}
			if file == "-" {
				_, err = e.Out.Write(picture)
				return err
			}
			if err := os.WriteFile(file, picture, 0o600); err != nil {
				return fmt.Errorf("writing the picture: %w", err)
			}
			e.Say("Wrote %s, %d bytes", file, len(picture))
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file for the picture, - for standard output")
	cmd.Flags().BoolVarP(&moveCursor, "move-cursor", "m", false, "move the mouse first, to wake a screen that sleeps")
	return cmd
}

// errNoViewer tells how to get one, or how to do without.
var errNoViewer = errors.New("found no VNC viewer: install remote-viewer (package virt-viewer), name one with --vnc-type and --vnc-path, or connect your own with --proxy-only")
