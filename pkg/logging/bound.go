package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// burst is how often a message may come before it is held back, and pause what each further one takes.
	burst = 20
	pause = time.Minute
	// mostMessages is more than the messages of a program, which are constants.
	mostMessages = 512
)

// Bound keeps whoever can make a program say the same thing again and again, such as a guest, from filling its log: a message
// that has come 20 times is let through once a minute, with the number of those that were held back since. Lines at debug level are not
// bounded: somebody has asked for them.
func Bound(next slog.Handler, now func() time.Time) slog.Handler {
	return &bound{Handler: next, counts: &counts{now: now, by: map[string]*count{}}}
}

type bound struct {
	slog.Handler
	counts *counts
}

// counts are shared by all handlers that are derived from one.
type counts struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*count
}

// count is a bucket of a message's lines.
type count struct {
	left   int
	filled time.Time
	held   int
}

// Handle writes the line unless its message has come too often.
func (b *bound) Handle(ctx context.Context, r slog.Record) error {
	if r.Level <= debugLevel {
		return b.Handler.Handle(ctx, r)
	}
	held, ok := b.counts.take(r.Message)
	if !ok {
		return nil
	}
	if held > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("heldBack", held))
	}
	return b.Handler.Handle(ctx, r)
}

// take says whether a message may be written now, and how many were held back before it.
func (c *counts) take(message string) (held int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	n := c.by[message]
	if n == nil {
		if len(c.by) >= mostMessages {
			clear(c.by)
		}
		n = &count{left: burst, filled: now}
		c.by[message] = n
	}
	if more := int(now.Sub(n.filled) / pause); more > 0 {
		n.left, n.filled = min(burst, n.left+more), n.filled.Add(time.Duration(more)*pause)
	}
	if n.left == 0 {
		n.held++
		return 0, false
	}
	n.left--
	held, n.held = n.held, 0
	return held, true
}

// WithAttrs gives a handler that shares the bounds of this one.
func (b *bound) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &bound{b.Handler.WithAttrs(attrs), b.counts}
}

// WithGroup gives a handler that shares the bounds of this one.
func (b *bound) WithGroup(name string) slog.Handler {
	return &bound{b.Handler.WithGroup(name), b.counts}
}
