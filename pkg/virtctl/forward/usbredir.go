package forward

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// usbClient is the program that reads the local device, of the package usbredir.
const usbClient = "usbredirect"

// NewUSBRedir returns the command usbredir.
func NewUSBRedir(e *command.Environment) *cobra.Command {
	var noLaunch bool
	cmd := &cobra.Command{
		Use: "usbredir [(VENDOR:PRODUCT|BUS-DEVICE)] VMI", Short: "Lend a USB device of this computer to a machine", Args: command.Args(cobra.RangeArgs(1, 2)),
		Long: "Lends a USB device of this computer to a machine until Ctrl+C. The machine needs spec.domain.devices.clientPassthrough. It starts usbredirect (package usbredir), which may need root to read the device; with --no-launch it prints the address to start it with yourself.",
		Example: e.Example(`
  # Find the device
  lsusb

  # By vendor and product, or by bus and device
  {{program}} usbredir 0951:1666 web
  {{program}} usbredir 02-03 web

  # Start usbredirect yourself
  {{program}} usbredir web --no-launch`),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 || noLaunch {
				return e.CompleteInstances(cmd, nil, typed)
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if noLaunch != (len(args) == 1) {
				return command.Usagef("say usbredir DEVICE VMI, or usbredir VMI --no-launch")
			}
			device := ""
			if !noLaunch {
				device = args[0]
				if err := checkDevice(device); err != nil {
					return err
				}
			}
			return redirect(cmd.Context(), e, device, args[len(args)-1])
		},
	}
	cmd.Flags().BoolVar(&noLaunch, "no-launch", false, "do not start usbredirect; print the address for it")
	return cmd
}

// checkDevice refuses what usbredirect would not know, or would take for an option.
func checkDevice(device string) error {
	for _, sep := range []string{":", "-"} {
		if a, b, ok := strings.Cut(device, sep); ok && hex(a) && hex(b) {
			return nil
		}
	}
	return command.Usagef("device %q is neither VENDOR:PRODUCT such as 0951:1666 nor BUS-DEVICE such as 02-03; lsusb shows both", device)
}

func hex(s string) bool {
	return s != "" && len(s) <= 4 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// usbConnect is how long usbredirect may take until it connects.
const usbConnect = time.Minute

func redirect(ctx context.Context, e *command.Environment, device, name string) error {
	path := ""
	if device != "" {
		found, err := exec.LookPath(usbClient)
		if err != nil {
			return fmt.Errorf("found no %s: install the package usbredir, or start it elsewhere with --no-launch", usbClient)
		}
		path = found
	}
	c, err := e.Connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for %s: %w", usbClient, err)
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	target := command.Target{Kind: command.KindVMI, Name: name, Namespace: c.Namespace}
	stream, err := c.Open(ctx, target, "usbredir")
	if err != nil {
		return err
	}
	defer stream.Abort()
	stream.ReadAhead()
	ended := make(chan error, 1)
	if device == "" {
		fmt.Fprintln(e.Out, listener.Addr())
		e.Say("Start: %s --device VENDOR:PRODUCT --to %s", usbClient, listener.Addr())
	} else {
		_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(usbConnect))
		cmd := exec.CommandContext(ctx, path, "--device", device, "--to", listener.Addr().String())
		cmd.Stdout, cmd.Stderr = e.ErrOut, e.ErrOut
		e.Trace(3, "running %q", cmd.Args)
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("starting %s: %w", usbClient, err)
		}
		go func() { ended <- cmd.Wait() }()
		defer func() {
			cancel()
			<-ended // it was killed, or has ended
		}()
	}
	joined := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			joined <- fmt.Errorf("%s did not connect: %w", usbClient, err)
			return
		}
		e.Say("Device %s is with %s; Ctrl+C takes it back", device, target)
		joined <- command.Join(conn, stream, 0, func() { conn.Close() })
	}()
	select {
	case <-ctx.Done():
		return nil // Ctrl+C is how it is meant to end
	case err := <-joined:
		return err
	case err := <-ended:
		ended <- nil
		if err != nil {
			return fmt.Errorf("%s: %w", usbClient, err)
		}
		return nil
	}
}
