// Command virtctl controls virtual machines on Kubernetes. Installed as kubectl-virt it is a plugin of kubectl.
package main

import (
	"fmt"
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/virtplane/virtplane/pkg/virtctl"
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	if err := virtctl.NewCommand(streams).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(virtctl.ExitFailed)
	}
}
