package pool

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a backend whose measurements last until they are stopped, or for a given time.
type slow struct {
	backend
	lasts          time.Duration
	running, total atomic.Int32
	most           atomic.Int32
}

func (s *slow) Measure(ctx context.Context, _ *os.Root, _ string) (Usage, error) {
	s.total.Add(1)
	s.most.Store(max(s.most.Load(), s.running.Add(1)))
	defer s.running.Add(-1)
	select {
	case <-time.After(s.lasts):
		return Usage{Bytes: 4096, Inodes: 1}, nil
	case <-ctx.Done():
		return Usage{}, context.Cause(ctx)
	}
}

// measured runs a test with volumes that take so long to measure, on a clock of its own.
func measured(t *testing.T, lasts time.Duration, volumes string, test func(t *testing.T, p *Pools, s *slow)) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := open(t, path)
		s := &slow{backend: p.order[0].backend, lasts: lasts}
		p.order[0].backend = s
		for _, id := range strings.Fields(volumes) {
			must(t, create(t, id)(p))
		}
		test(t, p, s)
		closePools(t, p)
		synctest.Wait()
		if n := s.running.Load(); n != 0 {
			t.Errorf("%d measurements outlive their pool", n)
		}
	})
}

// TestMeasurementEnds wants a measurement to end at its deadline, with the last of its callers, with its volume and with its pool.
func TestMeasurementEnds(t *testing.T) {
	const ever = 1000 * time.Hour
	t.Run("deadline", func(t *testing.T) {
		measured(t, ever, "v", func(t *testing.T, p *Pools, s *slow) {
			start := time.Now()
			_, err := p.Usage(t.Context(), "v")
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "could not be counted within 2m0s") || time.Since(start) != measureTime {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
			// It is not tried again at once.
			if _, again := p.Usage(t.Context(), "v"); again == nil || again.Error() != err.Error() || s.total.Load() != 1 {
				t.Errorf("again: %v, measured %d times", again, s.total.Load())
			}
			time.Sleep(measureShare*measureTime + time.Second)
			s.lasts = time.Second
			if _, err := p.Usage(t.Context(), "v"); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	})
	t.Run("callers", func(t *testing.T) {
		measured(t, ever, "v", func(t *testing.T, p *Pools, s *slow) {
			first, cancelFirst := context.WithTimeout(t.Context(), time.Second)
			second, cancelSecond := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancelFirst()
			defer cancelSecond()
			errs := make(chan error, 2)
			for _, ctx := range []context.Context{first, second} {
				go func() { _, err := p.Usage(ctx, "v"); errs <- err }()
			}
			if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			synctest.Wait()
			if n := s.running.Load(); n != 1 {
				t.Errorf("%d measurements for the caller who still waits", n)
			}
			if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			synctest.Wait()
			if n, total := s.running.Load(), s.total.Load(); n != 0 || total != 1 {
				t.Errorf("%d of %d measurements outlive their callers", n, total)
			}
			// Callers without patience must not keep the disk busy.
			if _, err := p.Usage(t.Context(), "v"); !errors.Is(err, errAlone) {
				t.Errorf("at once: %v", err)
			}
			time.Sleep(measureShare * 10 * time.Second)
			s.lasts = time.Second
			if _, err := p.Usage(t.Context(), "v"); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	})
	t.Run("a caller who is gone already", func(t *testing.T) {
		measured(t, time.Millisecond, "v", func(t *testing.T, p *Pools, s *slow) {
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := p.Usage(gone, "v"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if usage, err := p.Usage(t.Context(), "v"); err != nil || usage.Inodes != 1 {
				t.Errorf("the next one: %+v, %v", usage, err)
			}
		})
	})
	for name, end := range map[string]func(*Pools) error{"volume": remove(t, "v"), "pool": func(p *Pools) error { return p.Close() }} {
		t.Run(name, func(t *testing.T) {
			measured(t, ever, "v", func(t *testing.T, p *Pools, s *slow) {
				waiting := make(chan error, 1)
				go func() { _, err := p.Usage(t.Context(), "v"); waiting <- err }()
				synctest.Wait()
				must(t, end(p))
				if err := <-waiting; !errors.Is(err, errStopped) {
					t.Error(err)
				}
			})
		})
	}
}

// TestMeasureAtOnce wants many volumes to be measured a few at a time, and each within its own deadline.
func TestMeasureAtOnce(t *testing.T) {
	measured(t, measureTime-time.Second, "a b c d e f g h i j k l", func(t *testing.T, p *Pools, s *slow) {
		errs := make(chan error, 12)
		for _, v := range p.List(t.Context()) {
			go func() { _, err := p.Usage(t.Context(), v.ID); errs <- err }()
		}
		for range 12 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if most := s.most.Load(); most != measureAtOnce {
			t.Errorf("%d volumes were measured at the same time", most)
		}
	})
}

// TestBackendStops wants the real measurement to stop when it is told to.
func TestBackendStops(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	defer closePools(t, p)
	must(t, create(t, "v")(p))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errAlone)
	if _, err := p.order[0].backend.Measure(ctx, p.order[0].root, "volumes/v"); !errors.Is(err, errAlone) {
		t.Error(err)
	}
}
