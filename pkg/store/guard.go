package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
)

// Record is what is remembered of the store outside of it.
type Record struct {
	ID         string
	Generation int64
	Revision   int64
}

// Anchor keeps the record where it does not share the store's fate.
type Anchor interface {
	// Load returns nil when nothing was ever recorded.
	Load(ctx context.Context) (*Record, error)
	// Create makes the first record. ErrExists means that somebody else was faster.
	Create(ctx context.Context, r Record) error
	// Advance raises the revision of a record with the same id and generation; a lower one is not written.
	Advance(ctx context.Context, r Record) error
	// Fresh returns an error when a store without a record cannot be a first start, because something exists that only
	// a lost store can have made.
	Fresh(ctx context.Context) error
}

// ErrExists is returned by Anchor.Create when there is a record already.
var ErrExists = errors.New("the store is recorded already")

// Errors with which Guard.Run ends: the process must be started anew, or another one must be started.
var (
	// ErrChanged is returned when another store was adopted while this process had the old one in its caches.
	ErrChanged = errors.New("another store was adopted: the caches of this process are void")
	// ErrNewerSchema is returned when a newer version has written to the store.
	ErrNewerSchema = errors.New("the store was written by a newer version")
)

// Guard lets nobody read from a store that has not proved to be the right one. An empty or rolled-back store would answer
// "not found" for objects whose pods are running, and Kubernetes' garbage collector would delete those pods.
type Guard struct {
	// raw reads the store as it is, kv fails where the store is not the one it was.
	raw, kv clientv3.KV
	prefix  string
	anchor  Anchor
	schema  int64

	// floor is the highest revision seen; no answer to a request that begins later may come from below it.
	floor atomic.Int64
	// OnBlock, if set, is called with each new reason for which the store is not served, and with nil when it is again.
	OnBlock func(reason error)

	// wake asks Run to look at once.
	wake chan struct{}

	// proved belongs to Run alone.
	proved *Record

	mu      sync.Mutex
	blocked error
	id      string
}

// NewGuard guards the keys under prefix of a store. Schema is the newest schema that this program writes.
func NewGuard(kv clientv3.KV, prefix string, schema int64, anchor Anchor) *Guard {
	g := &Guard{raw: kv, prefix: prefix, anchor: anchor, schema: schema, wake: make(chan struct{}, 1)}
	g.blocked = errors.New("the store was not reached yet")
	g.kv = guardedKV{KV: kv, guard: g}
	return g
}

// KV answers from the store, or fails when the store turns out to be another one.
func (g *Guard) KV() clientv3.KV { return g.kv }

// Check returns nil while the store is proved, and otherwise what is wrong and the way out.
func (g *Guard) Check() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.blocked
}

// ID names the proved store; it is empty before there is one.
func (g *Guard) ID() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.id
}

func (g *Guard) block(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocked = err
	proved.Set(0)
}

func (g *Guard) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocked, g.id = nil, g.proved.ID
	proved.Set(1)
}

const (
	// retryEvery is how often an unproved store is looked at.
	retryEvery = 500 * time.Millisecond
	// recordEvery is how often the revision is recorded. A store that is set back by less, while no virt-api runs, is
	// not noticed.
	recordEvery = 2 * time.Second
	// lookTimeout bounds one look at the store and at the record.
	lookTimeout = 5 * time.Second
)

// Run proves the store, and goes on watching it until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithName("store-guard")
	var said string
	for {
		err := g.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := recordEvery
		switch {
		case errors.Is(err, ErrChanged), errors.Is(err, ErrNewerSchema):
			g.block(err)
			return err
		case err != nil:
			wait = retryEvery
			g.block(err)
			if err.Error() != said {
				said = err.Error()
				logger.Error(err, "The store is not served")
				g.tell(err)
			}
		case g.Check() != nil:
			said = ""
			logger.Info("The store is served", "id", g.proved.ID, "generation", g.proved.Generation, "revision", g.floor.Load())
			g.open()
			g.tell(nil)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-g.wake:
		case <-time.After(wait):
		}
	}
}

func (g *Guard) tell(reason error) {
	if g.OnBlock != nil {
		g.OnBlock(reason)
	}
}

// look compares the store with the record once, and records how far it has come.
func (g *Guard) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	before := g.floor.Load()
	state, err := ReadState(ctx, g.raw, g.prefix)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the store does not answer: do its members run, and does a majority of them?")
	}
	if err != nil {
		return err
	}
	record, err := g.anchor.Load(ctx)
	if err != nil {
		if g.proved == nil {
			return fmt.Errorf("reading what is recorded of the store: %w", err)
		}
		record = g.proved // proved before, and its revisions have not gone back since
	}
	if record == nil {
		if record, state, err = g.first(ctx, state); err != nil {
			return err
		}
	}
	if err := compare(*record, state); err != nil {
		return err
	}
	if state.Schema > g.schema {
		return fmt.Errorf("%w: it holds schema %d, this program knows %d: run the newer version", ErrNewerSchema, state.Schema, g.schema)
	}
	if g.proved != nil && (g.proved.ID != record.ID || g.proved.Generation != record.Generation) {
		return ErrChanged
	}
	if state.Revision < before {
		return wentBack(before, state.Revision)
	}
	if state.Schema < g.schema {
		id := state.Identity
		id.Schema = g.schema
		if state, err = writeIdentity(ctx, g.raw, g.prefix, state, id); err != nil {
			return err
		}
	}
	g.raise(state.Revision)
	g.proved = &Record{ID: state.ID, Generation: state.Generation, Revision: state.Revision}
	if state.Revision > record.Revision {
		if err := g.anchor.Advance(ctx, *g.proved); err != nil {
			// The store is the right one all the same.
			klog.FromContext(ctx).Error(err, "Could not record the store's revision", "revision", state.Revision)
		}
	}
	return nil
}

// first takes possession of a store that nothing is recorded of.
func (g *Guard) first(ctx context.Context, state State) (*Record, State, error) {
	if err := g.anchor.Fresh(ctx); err != nil {
		return nil, state, err
	}
	if state.Empty() {
		var err error
		if state, err = writeIdentity(ctx, g.raw, g.prefix, state, newIdentity(g.schema)); err != nil {
			return nil, state, err
		}
	}
	record := Record{ID: state.ID, Generation: state.Generation, Revision: state.Revision}
	if err := g.anchor.Create(ctx, record); err != nil {
		return nil, state, fmt.Errorf("recording the store: %w", err)
	}
	return &record, state, nil
}

const wayOut = `put the right store back, or accept the loss with "virt-api store adopt"`

func compare(r Record, s State) error {
	switch {
	case s.Empty():
		return fmt.Errorf("the store is empty, but store %s was in use up to revision %d: %s", r.ID, r.Revision, wayOut)
	case s.ID != r.ID:
		return fmt.Errorf("this is store %s, but store %s was in use: %s", s.ID, r.ID, wayOut)
	case s.Generation != r.Generation:
		return fmt.Errorf("the store is of generation %d, but generation %d was in use: %s", s.Generation, r.Generation, wayOut)
	case s.Revision < r.Revision:
		return fmt.Errorf("the store is at revision %d, but had come to %d before: it was set back: %s", s.Revision, r.Revision, wayOut)
	}
	return nil
}

func wentBack(from, to int64) error {
	return fmt.Errorf("the store went back from revision %d to %d: %s", from, to, wayOut)
}

// admit is called when a request begins. It returns the floor that the answer may not lie below: reads go by quorum, so
// a lower answer comes from a store that was set back.
func (g *Guard) admit() (int64, error) {
	if err := g.Check(); err != nil {
		return 0, apierrors.NewServiceUnavailable(err.Error())
	}
	return g.floor.Load(), nil
}

// seen takes note of an answer's revision.
func (g *Guard) seen(floor, revision int64) error {
	if revision >= floor {
		g.raise(revision)
		return nil
	}
	err := wentBack(floor, revision)
	g.block(err)
	select {
	case g.wake <- struct{}{}: // have it looked at and logged
	default:
	}
	return apierrors.NewServiceUnavailable(err.Error())
}

func (g *Guard) raise(revision int64) {
	for {
		floor := g.floor.Load()
		if revision <= floor || g.floor.CompareAndSwap(floor, revision) {
			return
		}
	}
}
