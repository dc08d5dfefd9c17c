package domain

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/metrics"
	"github.com/virtplane/virtplane/launcher/supervise"
)

// TestMetrics shows a guest figures of its node from QEMU's start to its end, also by a launcher that comes later.
func TestMetrics(t *testing.T) {
	var mu sync.Mutex
	var said []string
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	}
	shown := func(c *Config) {
		c.Prepare = func(context.Context, *api.SyncRequest) (*Guest, error) {
			g := aGuest()
			g.Metrics, g.Helpers = &metrics.Guest{Node: "n", Disk: "/d"}, []supervise.Helper{{Name: "h", Path: "/h"}}
			return g, nil
		}
		c.ServeMetrics = func(g metrics.Guest, pid func() int, version func() string) io.Closer {
			say("%s %s of process %d", g.Node, g.Disk, pid())
			return closer(func() { say("closed, process %d, version %s", pid(), version()) })
		}
	}
	w := newWorld(t)
	var state string
	d := w.domain(shown, func(c *Config) { state = c.StateFile })
	mustSync(t, d)
	mustSync(t, d) // once is enough
	if diff := cmp.Diff([]supervise.Helper{{Name: "h", Path: "/h"}}, w.spawned[0].Helpers); diff != "" {
		t.Errorf("helpers: %s", diff)
	}
	later := w.domain(shown, func(c *Config) { c.StateFile = state })
	awaitState(t, later, running, "")
	w.mu.Lock()
	w.exit(supervise.Exit{})
	w.mu.Unlock()
	w.changes <- w.status // there are two that wait for it
	<-d.Ended()
	<-later.Ended()
	mu.Lock()
	defer mu.Unlock()
	served := "n /d of process 42"
	closed := "closed, process 42, version 7.2.0"
	if diff := cmp.Diff([]string{served, served, closed, closed}, said); diff != "" {
		t.Error(diff)
	}
}
