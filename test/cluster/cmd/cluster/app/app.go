// Package app is the command line of the local cluster. It parses, calls package cluster and prints; it knows
// nothing of how a cluster is made.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/virtplane/virtplane/test/cluster"
	"github.com/virtplane/virtplane/test/cluster/machine"
)

// Main runs the command and returns its exit code.
func Main(args []string) int {
	if n := len(machine.InitArgs); len(args) >= n && slices.Equal(args[:n], machine.InitArgs) {
		// Process 1 of a machine: no command line library, no signal handling but its own.
		slog.Error("Machine ended", "err", machine.Init(args[n:]))
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		// The program that exec ran has said what is wrong.
		return exit.ExitCode()
	}
	fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
	return 1
}

func rootCommand() *cobra.Command {
	var dir string
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Run a real Kubernetes on this machine for development and tests",
		SilenceUsage:  true,
		SilenceErrors: true,
		Example: `  cluster up --nodes 2
  cluster load-image bin/images/virt-api.tar
  cluster status
  cluster exec node-1 -- ctr -n k8s.io containers list
  cluster down`,
	}
	root.PersistentFlags().StringVar(&dir, "dir", "", "folder of the cluster (default: that of "+cluster.DirVariable+", or .cluster of the checkout)")
	open := func(cmd *cobra.Command) (*cluster.Cluster, error) { return cluster.New(dir, cmd.OutOrStdout()) }
	root.AddCommand(userCommands(open)...)
	root.AddCommand(insideCommands()...)
	return root
}
