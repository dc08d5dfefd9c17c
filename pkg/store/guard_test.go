package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// fakeAnchor keeps the record in memory.
type fakeAnchor struct {
	mu       sync.Mutex
	record   *Record
	broken   error
	launched error
}

func (a *fakeAnchor) Load(context.Context) (*Record, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.record == nil {
		return nil, a.broken
	}
	r := *a.record
	return &r, a.broken
}

func (a *fakeAnchor) Create(_ context.Context, r Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.record != nil {
		return ErrExists
	}
	a.record = &r
	return nil
}

func (a *fakeAnchor) Advance(_ context.Context, r Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.record = &r
	return nil
}

func (a *fakeAnchor) Fresh(context.Context) error { return a.launched }

func (a *fakeAnchor) set(change func(*fakeAnchor)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func startAlone(t *testing.T, dir string) *Alone {
	t.Helper()
	a, err := StartAlone(t.Context(), Folder(dir), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func put(t *testing.T, kv clientv3.KV, key string) int64 {
	t.Helper()
	resp, err := kv.Put(t.Context(), key, "x")
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Revision
}

func TestGuardLook(t *testing.T) {
	for _, tc := range []struct {
		name string
		// before prepares store and record.
		before func(t *testing.T, kv clientv3.KV, a *fakeAnchor)
		want   string // part of the error, empty when the store is proved
	}{
		{name: "first start", before: func(*testing.T, clientv3.KV, *fakeAnchor) {}},
		{name: "an empty store, but machines run", before: func(_ *testing.T, _ clientv3.KV, a *fakeAnchor) { a.launched = errors.New("machines run") }, want: "machines run"},
		{name: "an empty store, but another was in use", before: func(_ *testing.T, _ clientv3.KV, a *fakeAnchor) {
			a.record = &Record{ID: "a", Generation: 1, Revision: 7}
		}, want: "the store is empty, but store a was in use up to revision 7: put the right store back, or accept the loss with \"virt-api store adopt\""},
		{name: "a store that nothing is recorded of", before: func(t *testing.T, kv clientv3.KV, _ *fakeAnchor) {
			identify(t, kv, Identity{ID: "a", Generation: 1, Schema: 1})
		}},
		{name: "the right store", before: func(t *testing.T, kv clientv3.KV, a *fakeAnchor) {
			identify(t, kv, Identity{ID: "a", Generation: 1, Schema: 1})
			a.record = &Record{ID: "a", Generation: 1, Revision: 2}
		}},
		{name: "another store", before: func(t *testing.T, kv clientv3.KV, a *fakeAnchor) {
			identify(t, kv, Identity{ID: "b", Generation: 1, Schema: 1})
			a.record = &Record{ID: "a", Generation: 1, Revision: 2}
		}, want: "this is store b, but store a was in use"},
		{name: "a restored store", before: func(t *testing.T, kv clientv3.KV, a *fakeAnchor) {
			identify(t, kv, Identity{ID: "a", Generation: 2, Schema: 1})
			a.record = &Record{ID: "a", Generation: 1, Revision: 2}
		}, want: "the store is of generation 2, but generation 1 was in use"},
		{name: "a cluster that was made anew", before: func(t *testing.T, kv clientv3.KV, a *fakeAnchor) {
			identify(t, kv, Identity{ID: "a", Generation: 1, Schema: 1})
			a.record = &Record{ID: "a", Generation: 1, Revision: 2, Cluster: 7}
		}, want: "but 7 was in use: it was made anew"},
		{name: "an old copy", before: func(t *testing.T, kv clientv3.KV, a *fakeAnchor) {
			identify(t, kv, Identity{ID: "a", Generation: 1, Schema: 1})
			a.record = &Record{ID: "a", Generation: 1, Revision: 200}
		}, want: "the store is at revision 2, but had come to 200 before: it was set back"},
		{name: "a newer schema", before: func(t *testing.T, kv clientv3.KV, a *fakeAnchor) {
			identify(t, kv, Identity{ID: "a", Generation: 1, Schema: 3})
			a.record = &Record{ID: "a", Generation: 1, Revision: 2}
		}, want: "the store was written by a newer version: it holds schema 3, this program knows 1"},
		{name: "no record to be had", before: func(_ *testing.T, _ clientv3.KV, a *fakeAnchor) { a.broken = errors.New("no answer") }, want: "reading what is recorded of the store: no answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kv := startAlone(t, t.TempDir()).Client().KV
			anchor := &fakeAnchor{}
			tc.before(t, kv, anchor)
			err := NewGuard(kv, "/test", 1, anchor).look(t.Context())
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("error %v", err)
			case tc.want == "" && (anchor.record == nil || anchor.record.ID == ""):
				t.Errorf("recorded %+v", anchor.record)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func identify(t *testing.T, kv clientv3.KV, id Identity) {
	t.Helper()
	if _, err := writeIdentity(t.Context(), kv, "/test", State{}, id); err != nil {
		t.Fatal(err)
	}
}

// TestGuardBesideAnother lets another process write, and record that, between any two steps of a look.
func TestGuardBesideAnother(t *testing.T) {
	kv := startAlone(t, t.TempDir()).Client().KV
	identify(t, kv, Identity{ID: "a", Generation: 1, Schema: 1})
	anchor := &fakeAnchor{record: &Record{ID: "a", Generation: 1, Revision: 2}}
	another := func() {
		revision := put(t, kv, "/test/other")
		anchor.set(func(a *fakeAnchor) { a.record.Revision = revision })
	}
	g := NewGuard(busyKV{KV: kv, another: another}, "/test", 1, busyAnchor{fakeAnchor: anchor, another: another})
	for range 3 {
		if err := g.look(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

type busyKV struct {
	clientv3.KV
	another func()
}

func (k busyKV) Get(ctx context.Context, key string, o ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	k.another()
	defer k.another()
	return k.KV.Get(ctx, key, o...)
}

type busyAnchor struct {
	*fakeAnchor
	another func()
}

func (a busyAnchor) Load(ctx context.Context) (*Record, error) {
	a.another()
	defer a.another()
	return a.fakeAnchor.Load(ctx)
}

func TestGuardRaisesSchema(t *testing.T) {
	kv := startAlone(t, t.TempDir()).Client().KV
	anchor := &fakeAnchor{record: &Record{ID: "a", Generation: 1, Revision: 1}}
	identify(t, kv, Identity{ID: "a", Generation: 1, Schema: 1})
	if err := NewGuard(kv, "/test", 2, anchor).look(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, err := ReadState(t.Context(), kv, "/test")
	if err != nil || state.Schema != 2 {
		t.Errorf("schema %d, error %v", state.Schema, err)
	}
}

// switchable is a store that can be exchanged behind its clients' back.
type switchable struct {
	clientv3.KV
	mu sync.Mutex
	kv clientv3.KV
}

func (s *switchable) to(kv clientv3.KV) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kv = kv
}

func (s *switchable) now() clientv3.KV {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kv
}

func (s *switchable) Get(ctx context.Context, key string, o ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return s.now().Get(ctx, key, o...)
}

func (s *switchable) Put(ctx context.Context, key, v string, o ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	return s.now().Put(ctx, key, v, o...)
}
func (s *switchable) Txn(ctx context.Context) clientv3.Txn { return s.now().Txn(ctx) }

func TestGuardNoticesReplacedStore(t *testing.T) {
	right := startAlone(t, t.TempDir()).Client().KV
	empty := startAlone(t, t.TempDir()).Client().KV
	behind := &switchable{kv: right}
	anchor := &fakeAnchor{}
	g := NewGuard(behind, "/test", 1, anchor)
	if _, err := g.KV().Get(t.Context(), "/test/x"); !apierrors.IsServiceUnavailable(err) {
		t.Fatalf("reading an unproved store: error %v, want service unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	waitFor(t, "the store to be proved", func() bool { return g.Check() == nil })
	for range 5 {
		put(t, g.KV(), "/test/x")
	}

	behind.to(empty)
	if _, err := g.KV().Get(t.Context(), "/test/x"); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "an answer came from etcd cluster") {
		t.Errorf("reading from an empty store: error %v", err)
	}
	if g.Check() == nil {
		t.Error("the guard did not notice")
	}
	if _, err := g.KV().Txn(t.Context()).Then(clientv3.OpPut("/test/y", "x")).Commit(); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("writing to an empty store: error %v", err)
	}

	behind.to(right)
	waitFor(t, "the right store to be proved again", func() bool { return g.Check() == nil })
	if resp, err := g.KV().Get(t.Context(), "/test/x"); err != nil || len(resp.Kvs) != 1 {
		t.Errorf("response %v, error %v", resp, err)
	}

	// The administrator adopts the empty one.
	state, err := writeIdentity(t.Context(), empty, "/test", State{}, Identity{ID: "b", Generation: 2, Schema: 1})
	if err != nil {
		t.Fatal(err)
	}
	behind.to(empty)
	anchor.set(func(a *fakeAnchor) { a.record = &Record{ID: "b", Generation: 2, Revision: state.Revision} })
	select {
	case err := <-done:
		if !errors.Is(err, ErrChanged) {
			t.Errorf("the guard ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the guard goes on with the caches of the old store")
	}
	cancel()
}

// answers changes the headers of a store's answers, as another store would.
type answers struct {
	clientv3.KV
	change func(*etcdserverpb.ResponseHeader)
}

func (a answers) Get(ctx context.Context, key string, o ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, err := a.KV.Get(ctx, key, o...)
	if err == nil {
		a.change(resp.Header)
	}
	return resp, err
}

func TestGuardDisbelieves(t *testing.T) {
	kv := startAlone(t, t.TempDir()).Client().KV
	another := errors.New("another store is there")
	for _, tc := range []struct {
		name string
		// answer happens while the store answers.
		answer func(g *Guard, a *fakeAnchor, h *etcdserverpb.ResponseHeader)
		want   string
	}{
		{"a good answer", func(*Guard, *fakeAnchor, *etcdserverpb.ResponseHeader) {}, ""},
		{"a lower revision", func(_ *Guard, _ *fakeAnchor, h *etcdserverpb.ResponseHeader) { h.Revision = 1 }, "went back from revision"},
		{"another cluster, with a higher revision", func(_ *Guard, _ *fakeAnchor, h *etcdserverpb.ResponseHeader) {
			h.ClusterId++
			h.Revision += 1e9
		}, "an answer came from etcd cluster"},
		{"a new connection to the same store", func(g *Guard, _ *fakeAnchor, _ *etcdserverpb.ResponseHeader) { g.Connected() }, ""},
		{"a new connection to a restored store", func(g *Guard, a *fakeAnchor, h *etcdserverpb.ResponseHeader) {
			h.Revision += 1e9
			a.set(func(a *fakeAnchor) { a.launched, a.record = another, nil }) // whatever the look finds
			g.Connected()
		}, another.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			anchor := &fakeAnchor{}
			var g *Guard
			g = NewGuard(answers{kv, func(h *etcdserverpb.ResponseHeader) {
				if g.Check() == nil && h.Revision >= g.floor.Load() && tc.answer != nil {
					answer := tc.answer
					tc.answer = nil // the guard's own look is answered as it is
					answer(g, anchor, h)
				}
			}}, "/disbelieve", 1, anchor)
			g.recordEvery = time.Hour
			go func() { _ = g.Run(t.Context()) }()
			waitFor(t, "the store to be proved", func() bool { return g.Check() == nil })
			_, err := g.KV().Get(t.Context(), "/disbelieve/x")
			if tc.want == "" && err != nil || tc.want != "" && (!apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestGuardLooksBehindNewConnections(t *testing.T) {
	kv := startAlone(t, t.TempDir()).Client().KV
	anchor := &fakeAnchor{}
	g := NewGuard(kv, "/test", 1, anchor)
	g.recordEvery = time.Hour
	go func() { _ = g.Run(t.Context()) }()
	waitFor(t, "the store to be proved", func() bool { return g.Check() == nil })
	if _, err := g.KV().Get(t.Context(), "/test/x"); err != nil {
		t.Fatal(err)
	}
	// Nobody has looked for an hour, but whatever is behind a new connection is looked at before it is used.
	anchor.set(func(a *fakeAnchor) { a.record.Generation++ })
	g.Connected()
	if _, err := g.KV().Get(t.Context(), "/test/x"); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "the store is of generation 1, but generation 2 was in use") {
		t.Errorf("error %v", err)
	}
}

func TestGuardOutlivesAnchor(t *testing.T) {
	kv := startAlone(t, t.TempDir()).Client().KV
	anchor := &fakeAnchor{}
	g := NewGuard(kv, "/test", 1, anchor)
	if err := g.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	anchor.set(func(a *fakeAnchor) { a.broken = errors.New("kube-apiserver is away") })
	if err := g.look(t.Context()); err != nil {
		t.Errorf("a store that was proved is not served any more: %v", err)
	}
}

func waitFor(t *testing.T, what string, ready func() bool) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second) // members that elect a leader on a busy machine
	for !ready() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
