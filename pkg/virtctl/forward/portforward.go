package forward

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

const maxPort = 65535

// forwarder carries connections to one target.
type forwarder struct {
	env     *command.Environment
	cluster *command.Cluster
	target  command.Target
	// subresource is the stream of a port.
	subresource func(forwarded) string
	address     string
}

// NewPortForward returns the command port-forward.
func NewPortForward(e *command.Environment) *cobra.Command {
	var stdio, vsock, tls bool
	address := "127.0.0.1"
	cmd := &cobra.Command{
		Use: "port-forward (vm|vmi)/NAME[/NAMESPACE] [PROTOCOL/]LOCAL[:REMOTE]...", Aliases: []string{"portforward"},
		Short: "Carry local ports to ports of a machine", Args: command.Args(cobra.MinimumNArgs(2)), ValidArgsFunction: e.CompleteTarget,
		Long: "Listens at local ports and carries each connection to a port of a machine, through the API server, until Ctrl+C. Who may reach the API server needs no route to the guest. Traffic burdens the control plane: for much of it, expose the machine with a Service.\n\nLOCAL alone is also the guest's port; an empty or 0 LOCAL takes a port that is free and tells which.",
		Example: e.Example(`
  # http://localhost:8080 is port 80 of the machine
  {{program}} port-forward vm/web 8080:80

  # Several, one of them UDP, in another namespace
  {{program}} port-forward vm/web/prod 2222:22 udp/5353:53

  # Let others connect too
  {{program}} port-forward vm/web 8080:80 --address 0.0.0.0

  # The connection itself on standard input and output, as ssh's ProxyCommand wants it
  {{program}} port-forward --stdio=true vm/web 22`),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit := uint32(maxPort)
			if vsock {
				limit = math.MaxUint32
			}
			ports, err := parsePorts(args[1:], limit)
			if err != nil {
				return err
			}
			f, err := newForwarder(e, args[0], address)
			if err != nil {
				return err
			}
			if vsock {
				f.overVsock(tls)
			}
			return f.run(cmd.Context(), ports, stdio)
		},
	}
	cmd.Flags().BoolVar(&stdio, "stdio", false, "carry one port on standard input and output instead of listening")
	cmd.Flags().StringVar(&address, "address", address, "local address to listen at; 0.0.0.0 lets other computers connect")
	cmd.Flags().BoolVar(&vsock, "vsock", false, "go through the guest's vsock instead of its network")
	cmd.Flags().BoolVar(&tls, "tls", true, "with --vsock: whether the node speaks TLS with the guest")
	return cmd
}

// NewVsock returns the command vsock.
func NewVsock(e *command.Environment) *cobra.Command {
	tls, listen := true, ""
	address := "127.0.0.1"
	cmd := &cobra.Command{
		Use: "vsock [(vm|vmi)/]NAME[/NAMESPACE] PORT", Short: "Connect to a vsock port of a machine", Args: command.Args(cobra.ExactArgs(2)), ValidArgsFunction: e.CompleteTarget,
		Long: "Connects standard input and output to a vsock port of the guest, or listens locally with --listen. The machine needs spec.domain.devices.autoattachVSOCK.",
		Example: e.Example(`
  # Talk to what listens at vsock port 9999 of the guest
  {{program}} vsock web 9999

  # A guest that speaks no TLS
  {{program}} vsock web 9999 --tls=false

  # Let programs connect to local port 8000
  {{program}} vsock web 9999 --listen 8000`),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[1]
			if listen != "" {
				text = listen + ":" + args[1]
			}
			port, err := parsePort(text, math.MaxUint32)
			if err != nil {
				return err
			}
			if port.protocol != tcp {
				return command.Usagef("vsock carries no datagrams: leave %s/ out", port.protocol)
			}
			f, err := newForwarder(e, args[0], address)
			if err != nil {
				return err
			}
			f.overVsock(tls)
			return f.run(cmd.Context(), []forwarded{port}, listen == "")
		},
	}
	cmd.Flags().BoolVar(&tls, "tls", true, "whether the node speaks TLS with the guest")
	cmd.Flags().StringVar(&listen, "listen", "", "local port to listen at, 0 for one that is free")
	cmd.Flags().StringVar(&address, "address", address, "local address of --listen")
	return cmd
}

func newForwarder(e *command.Environment, text, address string) (*forwarder, error) {
	target, err := command.ParseTarget(text)
	if err != nil {
		return nil, err
	}
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	return &forwarder{env: e, cluster: c, target: target.In(c.Namespace), address: address, subresource: func(p forwarded) string {
		return fmt.Sprintf("portforward/%d/%s", p.remote, p.protocol)
	}}, nil
}

// overVsock leads to vsock, which instances alone have; an instance bears the name of its machine.
func (f *forwarder) overVsock(tls bool) {
	f.target.Kind = command.KindVMI
	f.subresource = func(p forwarded) string { return fmt.Sprintf("vsock?port=%d&tls=%t", p.remote, tls) }
}

func (f *forwarder) open(ctx context.Context, p forwarded) (*command.Stream, error) {
	return f.cluster.Open(ctx, f.target, f.subresource(p))
}

func (f *forwarder) run(ctx context.Context, ports []forwarded, stdio bool) error {
	if stdio {
		if len(ports) != 1 {
			return command.Usagef("--stdio carries one port, not %d", len(ports))
		}
		return f.stdio(ctx, ports[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(ports))
	for _, p := range ports {
		serve, err := f.listen(ctx, p)
		if err != nil {
			return err
		}
		go func() { failed <- serve() }()
	}
	select {
	case <-ctx.Done():
		return nil // Ctrl+C is how it is meant to end
	case err := <-failed:
		return err
	}
}

// stdio carries one connection on standard input and output. Nothing else may go there.
func (f *forwarder) stdio(ctx context.Context, p forwarded) error {
	stream, err := f.open(ctx, p)
	if err != nil {
		return err
	}
	return command.Join(struct {
		io.Reader
		io.Writer
	}{f.env.In, f.env.Out}, stream, command.HalfClosed, func() {
		if file, ok := f.env.In.(*os.File); ok {
			file.Close()
		}
	})
}

// listen opens a local port and returns what serves it.
func (f *forwarder) listen(ctx context.Context, p forwarded) (func() error, error) {
	at := net.JoinHostPort(f.address, strconv.FormatUint(uint64(p.local), 10))
	var config net.ListenConfig
	if p.protocol == udp {
		conn, err := config.ListenPacket(ctx, "udp", at)
		if err != nil {
			return nil, fmt.Errorf("listening: %w", err)
		}
		f.announce(p, conn.LocalAddr())
		context.AfterFunc(ctx, func() { conn.Close() })
		return func() error { return newDatagrams(f, p, conn).serve(ctx) }, nil
	}
	listener, err := config.Listen(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	f.announce(p, listener.Addr())
	context.AfterFunc(ctx, func() { listener.Close() })
	return func() error { return f.serve(ctx, p, listener) }, nil
}

func (f *forwarder) announce(p forwarded, at net.Addr) {
	f.env.Say("Forwarding %s %s to port %d of %s", p.protocol, at, p.remote, f.target)
}

func (f *forwarder) serve(ctx context.Context, p forwarded, listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("waiting for connections: %w", err)
		}
		f.env.Trace(2, "%s connected to %s", conn.RemoteAddr(), listener.Addr())
		go func() {
			defer conn.Close()
			stream, err := f.open(ctx, p)
			if err != nil {
				f.env.Say("Connection to port %d: %v", p.remote, err)
				return
			}
			if err := command.Join(conn, stream, command.HalfClosed, func() { conn.Close() }); err != nil && ctx.Err() == nil {
				f.env.Say("Connection to port %d: %v", p.remote, err)
			}
			f.env.Trace(2, "%s is done", conn.RemoteAddr())
		}()
	}
}
