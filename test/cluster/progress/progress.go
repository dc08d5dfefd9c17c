// Package progress prints the steps of a command with their times, and on failure the log to read with its
// last lines. It decides nothing.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Printer prints to one stream.
type Printer struct {
	Out io.Writer
	// Now is the clock; nil means the real one.
	Now func() time.Time
}

// LogError is a failure that a log file explains.
type LogError struct {
	Err error
	Log string
}

func (e *LogError) Error() string { return e.Err.Error() }

func (e *LogError) Unwrap() error { return e.Err }

func (p *Printer) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// Step runs do and prints its name with the time it took. What do returns as text is added in brackets.
func (p *Printer) Step(name string, do func() (string, error)) error {
	start := p.now()
	note, err := do()
	took := p.now().Sub(start).Seconds()
	if err != nil {
		fmt.Fprintf(p.Out, "✗ %s (%.1f s): %v\n", name, took, err)
		return err
	}
	if note != "" {
		note = ", " + note
	}
	fmt.Fprintf(p.Out, "✓ %s (%.1f s%s)\n", name, took, note)
	return nil
}

// Line prints one line.
func (p *Printer) Line(format string, args ...any) {
	fmt.Fprintf(p.Out, format+"\n", args...)
}

// tailLines is how much of a log a failure shows.
const tailLines = 15

// Tail prints the last lines of a log, each marked, under the log's name.
func (p *Printer) Tail(log string) {
	b, err := os.ReadFile(log)
	if err != nil {
		fmt.Fprintf(p.Out, "  log: %s (%v)\n", log, err)
		return
	}
	fmt.Fprintf(p.Out, "  log: %s\n", log)
	for _, l := range lastLines(string(b), tailLines) {
		fmt.Fprintf(p.Out, "  | %s\n", l)
	}
}

func lastLines(s string, n int) []string {
	s = strings.TrimRight(s, "\n")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	return lines[max(0, len(lines)-n):]
}
