package qmp

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// Event is something that happened in QEMU without being asked.
type Event struct {
	Name string
	// Data is the event's own JSON object; nil if it has none.
	Data json.RawMessage
	Time time.Time
}

// Decode reads the event's data into v.
func (e Event) Decode(v any) error {
	if len(e.Data) == 0 {
		return nil
	}
	return json.Unmarshal(e.Data, v)
}

// Subscription receives events from the moment it was made. A reader that is too slow loses events and can see
// how many, so that it knows when to ask QEMU for the state instead.
type Subscription struct {
	c       chan Event
	dropped atomic.Uint64
	fan     *fanOut
}

// C is closed when the connection ends or the subscription is closed.
func (s *Subscription) C() <-chan Event { return s.c }

// Dropped counts the events lost so far.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() { s.fan.remove(s) }

// fanOut gives each event to each subscriber and waits for none.
type fanOut struct {
	mu     sync.Mutex
	subs   map[*Subscription]struct{}
	closed bool
}

func (f *fanOut) add(buffer int) *Subscription {
	if buffer < 1 {
		buffer = 1
	}
	s := &Subscription{c: make(chan Event, buffer), fan: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		close(s.c)
		return s
	}
	if f.subs == nil {
		f.subs = map[*Subscription]struct{}{}
	}
	f.subs[s] = struct{}{}
	return s
}

func (f *fanOut) remove(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.subs[s]; ok {
		delete(f.subs, s)
		close(s.c)
	}
}

func (f *fanOut) send(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		select {
		case s.c <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

func (f *fanOut) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for s := range f.subs {
		delete(f.subs, s)
		close(s.c)
	}
}
