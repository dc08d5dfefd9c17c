// Package app is the command line of virt-launcher. It wires the launcher's packages together and decides nothing else.
package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"k8s.io/component-base/version"

	"github.com/virtplane/virtplane/pkg/logging"
)

const usage = `virt-launcher runs one guest in its pod.

Usage:
  virt-launcher init [flags] -- [flags of run]   be the pod's first process: start the launcher and keep QEMU
  virt-launcher run [flags]                      be the launcher: serve the node agent and drive QEMU
  virt-launcher probe [flags] [-- COMMAND ...]   ask the guest for a sign of life, or have it run a command
  virt-launcher console-log [flags]              print what the guest writes on its serial console
  virt-launcher version                          print the version

"virt-launcher init -h" and the like list the flags.
`

// Run does what the arguments say and gives the exit code.
func Run(args []string, stderr io.Writer) int {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "init":
		return runInit(args, stderr)
	case "run":
		return runLauncher(args, stderr)
	case "probe":
		return runProbe(args, os.Stdout, stderr)
	case "console-log":
		return runConsoleLog(args, stderr)
	case "version":
		fmt.Println(version.Get().GitVersion)
		return 0
	case "help", "-h", "--help":
		fmt.Fprint(stderr, usage)
		return 0
	}
	fmt.Fprintf(stderr, "virt-launcher: unknown command %q\n\n%s", command, usage)
	return 2
}

// parse reads the flags. It gives an exit code when the program is to end.
func parse(set *flag.FlagSet, args []string) (code int, done bool) {
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0, true
	case err != nil:
		return 2, true
	}
	return 0, false
}

// newLogger makes a logger to the pod's log; level is debug, info, warn or error.
func newLogger(w io.Writer, level, part string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	return slog.New(logging.Bound(logging.NewHandler(w, "virt-launcher", l), time.Now)).With("part", part), nil
}

func fail(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "virt-launcher: %v\n", err)
	return 1
}

// env gives an environment variable or a default.
func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
