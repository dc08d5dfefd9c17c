// Package app decides what the program bridge-cni is this time: a CNI plugin when a container runtime calls it, an installer when a person or a DaemonSet does. It holds no networking.
package app

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/virtplane/virtplane/cni-plugin/bridge"
	"github.com/virtplane/virtplane/cni-plugin/install"
	"github.com/virtplane/virtplane/pkg/logging"
)

const about = "bridge-cni connects pods to a bridge; a container runtime calls it with CNI_COMMAND set"

const usage = `Usage:
  bridge-cni install [--cni-bin-dir DIR] [--name NAME] [--stay]   copy the plugin into the node's CNI directory
  CNI_COMMAND=ADD|DEL|CHECK|STATUS|GC|VERSION bridge-cni          serve a container runtime, network configuration on standard input
`

// Run returns the exit code.
func Run(args []string) int {
	log := slog.New(logging.NewHandler(os.Stderr, "bridge-cni", logLevel()))
	if os.Getenv("CNI_COMMAND") != "" {
		return plugin(log)
	}
	if len(args) > 0 && args[0] == "install" {
		return runInstall(log, args[1:], os.Stderr)
	}
	fmt.Fprint(os.Stderr, usage)
	return 2
}

func plugin(log *slog.Logger) int {
	// Entering a network namespace changes the thread, not the process; a goroutine that moved to another thread in between would configure the wrong one.
	runtime.LockOSThread()
	findSystemPrograms()
	p := &bridge.Plugin{Log: log}
	if err := skel.PluginMainFuncsWithError(p.Funcs(), bridge.Versions(), about); err != nil {
		if printErr := err.Print(); printErr != nil {
			log.Error("Could not print the error", "err", printErr)
		}
		return 1
	}
	return 0
}

// findSystemPrograms makes nft reachable for runtimes that hand a plugin a bare PATH.
func findSystemPrograms() {
	path := filepath.SplitList(os.Getenv("PATH"))
	path = append(path, "/usr/sbin", "/usr/bin", "/sbin", "/bin")
	_ = os.Setenv("PATH", strings.Join(path, string(filepath.ListSeparator)))
}

func logLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(os.Getenv("BRIDGE_CNI_LOG_LEVEL"))); err != nil {
		return slog.LevelInfo
	}
	return level
}

func runInstall(log *slog.Logger, args []string, out io.Writer) int {
	flags := flag.NewFlagSet("bridge-cni install", flag.ContinueOnError)
	flags.SetOutput(out)
	dir := flags.String("cni-bin-dir", "/opt/cni/bin", "directory of the node in which the container runtime looks for CNI plugins")
	name := flags.String("name", "bridge-cni", "file name of the plugin there, the \"type\" of a network configuration")
	stay := flags.Bool("stay", false, "wait for a signal after the copy, as the only container of a DaemonSet's pod must")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(out, "bridge-cni install: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	path, err := install.Self(*dir, *name)
	if err != nil {
		log.Error("Could not install", "dir", *dir, "err", err)
		return 1
	}
	log.Info("Installed", "path", path)
	if *stay {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		<-ctx.Done()
	}
	return 0
}
