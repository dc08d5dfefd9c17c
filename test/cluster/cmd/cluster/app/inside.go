package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/proxy"
	"github.com/virtplane/virtplane/test/cluster/registry"
)

// listenerFD is the file that machine.Service.Listener promises.
const listenerFD = 3

// insideCommands run inside of machines, called by the cluster itself.
func insideCommands() []*cobra.Command {
	commands := []*cobra.Command{
		{
			Use: "serve-proxy ADDRESS", Short: "Carry connections from the socket this was started with to an address",
			Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return serveProxy(cmd.Context(), args[0]) },
		},
		{
			Use: "serve-registry FOLDER ADDRESS", Short: "Serve an image registry",
			Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error { return serveRegistry(cmd.Context(), args[0], args[1]) },
		},
		{
			Use: "dial ADDRESS", Short: "Carry the standard streams to an address",
			Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return cluster.Dial(args[0], os.Stdin, os.Stdout) },
		},
		{
			Use: "wait-for TARGET TIMEOUT", Short: "Wait until a socket or URL answers",
			Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				timeout, err := time.ParseDuration(args[1])
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
				defer cancel()
				return machine.Wait(ctx, args[0])
			},
		},
	}
	for _, c := range commands {
		c.Hidden = true
	}
	return commands
}

func serveProxy(ctx context.Context, to string) error {
	file := os.NewFile(listenerFD, "listener")
	l, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("taking the listening socket: %w", err)
	}
	file.Close()
	return proxy.Serve(ctx, l, to)
}

func serveRegistry(ctx context.Context, dir, address string) error {
	h, err := registry.New(dir, os.Stderr)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	return server.ListenAndServe()
}
