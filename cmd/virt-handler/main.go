// Command virt-handler is the agent of a node: it offers the node's devices, runs the virtual machine instances that were
// scheduled to it, and serves their consoles to virt-api.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/component-base/cli"

	"github.com/virtplane/virtplane/cmd/virt-handler/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(cli.Run(app.NewCommand(ctx)))
}
