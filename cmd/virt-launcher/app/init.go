package app

import (
	"errors"
	"flag"
	"io"
	"runtime/debug"
	"time"

	"github.com/virtplane/virtplane/launcher/console"
	"github.com/virtplane/virtplane/launcher/footprint"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// Memory of the first process: it holds almost nothing and must not collect what it could give back.
const (
	initGCPercent = 20
	initMemory    = 8 << 20
)

// Times after which a process gives memory back: once it has started, and now and then.
const (
	trimSoon     = 5 * time.Second
	trimInterval = time.Minute
)

// consoleFlush is what the clients of the console have to take what the guest wrote last.
const consoleFlush = time.Second

func runInit(args []string, stderr io.Writer) int {
	set := flag.NewFlagSet("virt-launcher init", flag.ContinueOnError)
	set.SetOutput(stderr)
	terminationLog := set.String("termination-log", "/dev/termination-log", "file for the pod's termination message; empty writes none")
	grace := set.Duration("grace-period", 30*time.Second, "guest's time to power down, until the launcher tells the one of its VMI")
	consoleLog := set.String("console-log", "", "socket on which the guest's serial console is given to whoever logs it; empty: nobody does")
	level := set.String("log-level", env("VIRT_LAUNCHER_LOG_LEVEL", "info"), "least level that is logged: debug, info, warn or error")
	failing := set.Bool("fail", false, "end with an error at once, to test what follows from that")
	if code, done := parse(set, args); done {
		return code
	}
	log, err := newLogger(stderr, *level, "init")
	if *failing {
		err = errors.New("told to fail by --fail")
	}
	if err != nil {
		if *consoleLog != "" {
			// Whoever logs the console must not keep the pod, which ends here.
			err = errors.Join(err, console.Over(*consoleLog))
		}
		return fail(stderr, err)
	}
	debug.SetGCPercent(initGCPercent)
	debug.SetMemoryLimit(initMemory)
	stop := make(chan struct{})
	defer close(stop)
	go footprint.Keep(stop, trimSoon, trimInterval, func(err error) { log.Warn("Could not give memory back", "err", err) })
	hub := console.New(log)
	defer hub.Close(consoleFlush)
	if *consoleLog != "" {
		if err := hub.ServeLog(*consoleLog); err != nil {
			return fail(stderr, err)
		}
	}
	launcher := append([]string{"virt-launcher", "run", "--log-level=" + *level}, set.Args()...)
	code, err := supervise.Run(supervise.Options{Launcher: launcher, TerminationLog: *terminationLog, Grace: *grace, Console: hub, Log: log})
	if err != nil {
		return fail(stderr, err)
	}
	return code
}
