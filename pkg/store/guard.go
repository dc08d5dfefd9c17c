package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
)

// Record is what is remembered of the store outside of it.
type Record struct {
	ID         string
	Generation int64
	Revision   int64
	// Cluster is etcd's own name for the cluster, which changes when a cluster is made anew, be it from a snapshot. Zero
	// is unknown.
	Cluster uint64
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
	// recordEvery is a constant but for tests.
	recordEvery time.Duration

	// connections counts the connections made to the store. Behind a new one there may be another store, so nothing is
	// believed before Run has looked again.
	connections atomic.Int64
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
	cluster uint64
	// looked is the number of connections that Run has looked behind.
	looked int64
	// changed is closed, and replaced, when one of the above changes.
	changed chan struct{}
}

// NewGuard guards the keys under prefix of a store. Schema is the newest schema that this program writes.
func NewGuard(kv clientv3.KV, prefix string, schema int64, anchor Anchor) *Guard {
	g := &Guard{raw: kv, prefix: prefix, anchor: anchor, schema: schema, recordEvery: recordEvery, wake: make(chan struct{}, 1), changed: make(chan struct{})}
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

// Connected is to be called whenever a connection to the store is made, before it is used.
func (g *Guard) Connected() {
	g.connections.Add(1)
	g.lookNow()
}

func (g *Guard) lookNow() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *Guard) block(err error) {
	proved.Set(0)
	g.change(func() { g.blocked = err })
}

// open serves the store that was proved when there were this many connections.
func (g *Guard) open(connections int64) {
	proved.Set(1)
	g.change(func() {
		g.blocked, g.id, g.cluster, g.looked = nil, g.proved.ID, g.proved.Cluster, connections
	})
}

func (g *Guard) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.changed)
	g.changed = make(chan struct{})
}

const (
	// retryEvery is how often an unproved store is looked at.
	retryEvery = 500 * time.Millisecond
	// recordEvery is how often the revision is recorded. A store that is set back by less, while no virt-api runs, is
	// not noticed.
	recordEvery = 2 * time.Second
	// lookTimeout bounds one look at the store; half of it bounds one at the record.
	lookTimeout = 5 * time.Second
)

// Run proves the store, and goes on watching it until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithName("store-guard")
	var said string
	for {
		connections := g.connections.Load()
		err := g.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := g.recordEvery
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
			g.open(connections)
			g.tell(nil)
		default:
			g.open(connections)
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
	// In this order: another virt-api may record what it has just written, and what was recorded before the store is read
	// must be in the store. Each has a time limit of its own, so that a slow record does not make the store look dead.
	record, recordErr := g.recorded(ctx)
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
	if recordErr != nil {
		return fmt.Errorf("reading what is recorded of the store: %w", recordErr)
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
	g.proved = &Record{ID: state.ID, Generation: state.Generation, Revision: state.Revision, Cluster: state.Cluster}
	if state.Revision > record.Revision || record.Cluster == 0 {
		if err := g.anchor.Advance(ctx, *g.proved); err != nil {
			// The store is the right one all the same.
			klog.FromContext(ctx).Error(err, "Could not record the store's revision", "revision", state.Revision)
		}
	}
	return nil
}

// recorded is the record, or, while there is none to be had, what this process has proved: the store's revisions have not gone
// back since.
func (g *Guard) recorded(ctx context.Context) (*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout/2)
	defer cancel()
	record, err := g.anchor.Load(ctx)
	if err != nil && g.proved != nil {
		return g.proved, nil
	}
	return record, err
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
	record := Record{ID: state.ID, Generation: state.Generation, Revision: state.Revision, Cluster: state.Cluster}
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
	case r.Cluster != 0 && s.Cluster != r.Cluster:
		return fmt.Errorf("the store is etcd cluster %x, but %x was in use: it was made anew: %s", s.Cluster, r.Cluster, wayOut)
	case s.Revision < r.Revision:
		return fmt.Errorf("the store is at revision %d, but had come to %d before: it was set back: %s", s.Revision, r.Revision, wayOut)
	}
	return nil
}

func wentBack(from, to int64) error {
	return fmt.Errorf("the store went back from revision %d to %d: %s", from, to, wayOut)
}

// ticket is what was known when a request began.
type ticket struct {
	floor, connections int64
	cluster            uint64
}

// admit lets a request begin once the store behind every connection is proved.
func (g *Guard) admit(ctx context.Context) (ticket, error) {
	timeout := time.After(lookTimeout)
	for {
		g.mu.Lock()
		blocked, looked, cluster, changed := g.blocked, g.looked, g.cluster, g.changed
		g.mu.Unlock()
		if blocked != nil {
			return ticket{}, apierrors.NewServiceUnavailable(blocked.Error())
		}
		// In this order: the floor must not be younger than the request.
		t := ticket{floor: g.floor.Load(), connections: g.connections.Load(), cluster: cluster}
		if looked >= t.connections {
			return t, nil
		}
		g.lookNow()
		select {
		case <-changed:
		case <-ctx.Done():
			return ticket{}, ctx.Err()
		case <-timeout:
			return ticket{}, apierrors.NewServiceUnavailable("the connection to the store is new, and looking who is there takes long: try again")
		}
	}
}

// seen believes an answer, or does not. Reads go by quorum, so one from below the floor comes from a store that was set
// back; one from another cluster comes from another store. An answer may have come over a connection that was made
// meanwhile: then it must be proved first who is there.
func (g *Guard) seen(ctx context.Context, t ticket, header *etcdserverpb.ResponseHeader) error {
	switch {
	case header.ClusterId != t.cluster:
		return g.disbelieve(fmt.Errorf("an answer came from etcd cluster %x, but %x was in use: %s", header.ClusterId, t.cluster, wayOut))
	case header.Revision < t.floor:
		return g.disbelieve(wentBack(t.floor, header.Revision))
	}
	if g.connections.Load() != t.connections {
		if _, err := g.admit(ctx); err != nil {
			return err
		}
	}
	g.raise(header.Revision)
	return nil
}

func (g *Guard) disbelieve(err error) error {
	g.block(err)
	g.lookNow() // and have it logged
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
