// Command hostpath-csi is the hostpath CSI driver of a node: it keeps volumes as directories in the node's storage pools and provisions the claims that are scheduled there.
package main

import (
	"os"

	"k8s.io/component-base/cli"

	"github.com/virtplane/virtplane/cmd/hostpath-csi/app"
)

func main() {
	os.Exit(cli.Run(app.NewCommand()))
}
