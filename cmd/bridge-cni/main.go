// Command bridge-cni is the bridge CNI plugin, and its own installer for the nodes of a cluster.
package main

import (
	"os"

	"github.com/virtplane/virtplane/cmd/bridge-cni/app"
)

func main() {
	os.Exit(app.Run(os.Args[1:]))
}
