// Command image builds and shows image archives; see package image.
//
//	go run ./test/image/cmd/image build --ref example/app:devel --file /usr/bin/app=./app:0755 --out app.tar
//	go run ./test/image/cmd/image inspect app.tar
package main

import (
	"fmt"
	"os"

	"github.com/virtplane/virtplane/test/image"
)

func main() {
	if err := image.Command(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}
