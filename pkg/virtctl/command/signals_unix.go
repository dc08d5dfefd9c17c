//go:build !windows

package command

import (
	"os"
	"syscall"
)

// endingSignals end the program while the terminal is raw.
var endingSignals = []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, os.Interrupt}

// endBy ends this program by a signal, as if we had not caught it.
func endBy(s os.Signal) {
	if sig, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(os.Getpid(), sig)
	}
}
