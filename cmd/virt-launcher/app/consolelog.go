package app

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/virtplane/virtplane/launcher/console"
	"github.com/virtplane/virtplane/launcher/footprint"
	"github.com/virtplane/virtplane/pkg/machine"
)

// runConsoleLog is a container of its own beside the guest's. It ends with the guest's first process, and always well: it
// must not decide how the pod has ended.
func runConsoleLog(args []string, stderr io.Writer) int {
	set := flag.NewFlagSet("virt-launcher console-log", flag.ContinueOnError)
	set.SetOutput(stderr)
	socket := set.String("socket", filepath.Join(machine.PrivateDir, machine.ConsoleLogSocket), "socket on which the pod's first process gives the console")
	wait := set.Duration("wait", 0, "how long to wait for that socket; 0: as long as the pod lives, whose other containers may have to wait for an image")
	if code, done := parse(set, args); done {
		return code
	}
	if set.NArg() > 0 {
		return fail(stderr, fmt.Errorf("unexpected argument %q", set.Arg(0)))
	}
	debug.SetGCPercent(initGCPercent)
	debug.SetMemoryLimit(initMemory)
	stop := make(chan struct{})
	defer close(stop)
	go footprint.Keep(stop, trimSoon, trimInterval, func(error) {}) // of no use to who reads the guest's words
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := console.Print(ctx, *socket, *wait, os.Stdout); err != nil {
		fmt.Fprintf(stderr, "virt-launcher: %v\n", err)
	}
	return 0
}
