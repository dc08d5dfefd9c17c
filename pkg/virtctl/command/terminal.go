package command

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"time"

	"golang.org/x/term"
)

// MakeRaw switches the terminal behind in to raw mode and returns what switches it back. It also switches back when a
// signal ends the program, so that no way out leaves the terminal unusable. Without a terminal it does nothing.
func MakeRaw(in io.Reader) (func(), error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() {}, nil
	}
	// From before the switch on: a signal that comes just after it would end the program with the terminal raw.
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, endingSignals...)
	state, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		signal.Stop(signals)
		return nil, fmt.Errorf("switching the terminal to raw mode: %w", err)
	}
	var once sync.Once
	restore := func() { once.Do(func() { _ = term.Restore(int(file.Fd()), state) }) }
	go func() {
		select {
		case s := <-signals:
			restore()
			signal.Reset(s)
			endBy(s)
		case <-done:
		}
	}()
	return sync.OnceFunc(func() {
		signal.Stop(signals)
		close(done)
		restore()
	}), nil
}

// IsTerminal says whether a person sits behind in.
func IsTerminal(in any) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Minutes is a flag that takes a duration or, as other clients of this API do, a bare number of minutes.
type Minutes time.Duration

func (m *Minutes) String() string { return time.Duration(*m).String() }

// Type is the word that help shows.
func (m *Minutes) Type() string { return "duration" }

// Set parses 90s, 2m or 2.
func (m *Minutes) Set(s string) error {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		*m = Minutes(time.Duration(n) * time.Minute)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is neither a duration such as 90s nor a number of minutes", s)
	}
	*m = Minutes(d)
	return nil
}
