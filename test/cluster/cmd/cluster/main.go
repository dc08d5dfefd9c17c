// Command cluster runs the local Kubernetes; see package test/cluster.
package main

import (
	"os"

	"github.com/virtplane/virtplane/test/cluster/cmd/cluster/app"
)

func main() {
	os.Exit(app.Main(os.Args[1:]))
}
