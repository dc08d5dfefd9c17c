package virtctl

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"
)

// makeRaw switches the terminal behind in to raw mode and returns what switches it back. It also switches back when a
// signal ends the program, so that no way out leaves the terminal unusable. Without a terminal it does nothing.
func makeRaw(in io.Reader) (func(), error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() {}, nil
	}
	state, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return nil, err
	}
	var once sync.Once
	restore := func() { once.Do(func() { _ = term.Restore(int(file.Fd()), state) }) }
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, os.Interrupt)
	go func() {
		s, ok := <-signals
		restore()
		if ok {
			signal.Reset(s)
			if sig, isSyscall := s.(syscall.Signal); isSyscall {
				_ = syscall.Kill(os.Getpid(), sig)
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		restore()
	}, nil
}

// minutes is a flag that takes a duration or, as other clients of this API do, a bare number of minutes.
type minutes time.Duration

func (m *minutes) String() string { return time.Duration(*m).String() }

// Type is the word that help shows.
func (m *minutes) Type() string { return "duration" }

// Set parses 90s, 2m or 2.
func (m *minutes) Set(s string) error {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		*m = minutes(time.Duration(n) * time.Minute)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is neither a duration such as 90s nor a number of minutes", s)
	}
	*m = minutes(d)
	return nil
}
