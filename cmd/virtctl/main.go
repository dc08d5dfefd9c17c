// Command virtctl controls virtual machines on Kubernetes. Installed as kubectl-virt it is a plugin of kubectl.
package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/virtplane/virtplane/pkg/virtctl"
)

func main() {
	// The first Ctrl+C ends the command in order, the second at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(virtctl.Main(ctx))
}
