package app

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/virtplane/virtplane/test/cluster"
)

type opener func(*cobra.Command) (*cluster.Cluster, error)

func userCommands(open opener) []*cobra.Command {
	// action makes a command of one call.
	action := func(use, short string, args cobra.PositionalArgs, do func(context.Context, *cluster.Cluster, []string) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
			c, err := open(cmd)
			if err != nil {
				return err
			}
			return do(cmd.Context(), c, args)
		}}
	}
	var o cluster.UpOptions
	up := action("up", "Bring the cluster up", cobra.NoArgs, func(ctx context.Context, c *cluster.Cluster, _ []string) error {
		return c.Up(ctx, o)
	})
	up.Flags().IntVar(&o.Nodes, "nodes", 2, "number of nodes")
	up.Flags().IntVar(&o.Port, "port", 0, "port of 127.0.0.1 for kube-apiserver (default: a free one)")
	return []*cobra.Command{
		up,
		action("down", "Remove the cluster and all it made", cobra.NoArgs, func(ctx context.Context, c *cluster.Cluster, _ []string) error {
			return c.Down(ctx)
		}),
		action("status", "Show machines, services and nodes", cobra.NoArgs, func(ctx context.Context, c *cluster.Cluster, _ []string) error {
			return c.Status(ctx)
		}),
		action("build", "Build the foreign programs into the cache", cobra.NoArgs, func(ctx context.Context, c *cluster.Cluster, _ []string) error {
			return c.BuildPrograms(ctx)
		}),
		action("load-image FILE.tar...", "Push image archives to the registry and load them into every node", cobra.MinimumNArgs(1),
			func(ctx context.Context, c *cluster.Cluster, args []string) error { return c.LoadImage(ctx, args...) }),
		action("push FILE.tar...", "Push image archives to the registry only", cobra.MinimumNArgs(1),
			func(ctx context.Context, c *cluster.Cluster, args []string) error { return c.Push(ctx, args...) }),
		action("exec MACHINE -- COMMAND [ARG...]", "Run a command inside a machine: control-plane, node-1, node-2, ...", cobra.MinimumNArgs(2),
			func(ctx context.Context, c *cluster.Cluster, args []string) error {
				return c.Exec(ctx, args[0], args[1:], os.Stdin, os.Stdout)
			}),
		action("kill MACHINE SERVICE", "Send SIGKILL to a service, such as kubelet of node-1, which is started again; \"machine\" ends all of it for good", cobra.ExactArgs(2),
			func(_ context.Context, c *cluster.Cluster, args []string) error { return c.Kill(args[0], args[1]) }),
	}
}
