// Command guests builds the guests' images and the base layer; see package guest.
//
//	go run ./test/guest/cmd/guests build [-o text|paths|json] [all|tiny|tiny-agent|tiny-signed|tiny-generic|null|base|debian]...
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/virtplane/virtplane/test/guest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := guest.Command(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "guests:", err)
		stop()
		os.Exit(1)
	}
}
