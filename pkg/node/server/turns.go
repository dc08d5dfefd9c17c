package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// evictTimeout bounds the wait for an older stream to let go of the guest's socket, which serves one at a time.
	evictTimeout = 5 * time.Second
	// maxShared bounds the streams of one instance that do not stand in each other's way: they share this program's memory
	// with those of all instances of the node.
	maxShared = 256
)

const (
	// reasonTaken begins as the end of a stream does, which is what clients look for.
	reasonTaken = "EOF: another client has connected and takes your place"
	reasonBusy  = "another client is connected: come without preserveSession to take its place"
	reasonHeld  = "the client before does not let go: try again"
)

type streamKey struct {
	vmi    types.UID
	socket string
}

// streams lets one client at a time have a socket of a guest.
type streams struct {
	mu   sync.Mutex
	held map[streamKey]*turn
	// shared counts the turns that exclude nobody.
	shared map[types.UID]int
	last   uint64
}

// turn is the right to a socket.
type turn struct {
	owner   *streams
	key     streamKey
	shared  bool
	evicted chan string   // receives why, once
	free    chan struct{} // closed when the socket is not used any more
	once    sync.Once
}

func newTurn(owner *streams, key streamKey) *turn {
	return &turn{owner: owner, key: key, evicted: make(chan string, 1), free: make(chan struct{})}
}

// hold notes whose turn it is; mu is held.
func (s *streams) hold(t *turn) {
	if s.held == nil {
		s.held, s.shared = map[streamKey]*turn{}, map[types.UID]int{}
	}
	s.held[t.key] = t
}

// begin takes the turn, from whoever has it unless preserve says to leave it.
func (s *streams) begin(ctx context.Context, key streamKey, preserve bool) (*turn, error) {
	mine := newTurn(s, key)
	s.mu.Lock()
	older := s.held[key]
	if older != nil && preserve {
		s.mu.Unlock()
		return nil, apierrors.NewServiceUnavailable(reasonBusy)
	}
	s.hold(mine)
	s.mu.Unlock()
	if older == nil {
		return mine, nil
	}
	older.evict(reasonTaken)
	ctx, cancel := context.WithTimeout(ctx, evictTimeout)
	defer cancel()
	select {
	case <-older.free:
		return mine, nil
	case <-ctx.Done():
	}
	// Whoever has come after us waits for us, and so would come upon the socket before it is free.
	go func() {
		<-older.free
		mine.end()
	}()
	return nil, apierrors.NewServiceUnavailable(reasonHeld)
}

// join takes a turn that excludes nobody.
func (s *streams) join(vmi types.UID) (*turn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared[vmi] >= maxShared {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("the instance has %d streams already: close one", maxShared))
	}
	s.last++
	mine := newTurn(s, streamKey{vmi, fmt.Sprint(s.last)})
	mine.shared = true
	s.hold(mine)
	s.shared[vmi]++
	return mine, nil
}

func (t *turn) evict(reason string) {
	select {
	case t.evicted <- reason:
	default: // it knows already
	}
}

// release says that the socket is free.
func (t *turn) release() { t.once.Do(func() { close(t.free) }) }

func (t *turn) end() {
	t.release()
	t.owner.mu.Lock()
	defer t.owner.mu.Unlock()
	if t.owner.held[t.key] != t {
		return
	}
	delete(t.owner.held, t.key)
	if !t.shared {
		return
	}
	if t.owner.shared[t.key.vmi]--; t.owner.shared[t.key.vmi] == 0 {
		delete(t.owner.shared, t.key.vmi)
	}
}

func (s *streams) closeAll(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.held {
		t.evict(reason)
	}
}
