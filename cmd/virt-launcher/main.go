// Command virt-launcher runs one guest in its pod. As "init" it is the pod's first process, as "run" the launcher that
// the first process starts.
package main

import (
	"os"

	"github.com/virtplane/virtplane/cmd/virt-launcher/app"
)

func main() {
	os.Exit(app.Run(os.Args[1:], os.Stderr))
}
