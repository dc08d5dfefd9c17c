// Command virt-controller runs the cluster's controllers: VirtualMachines and VirtualMachineInstances up to the node.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/virtplane/virtplane/cmd/virt-controller/app"
)

func main() {
	os.Exit(cli.Run(app.NewCommand(ctrl.SetupSignalHandler())))
}
