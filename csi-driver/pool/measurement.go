package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/klog/v2"
)

const (
	// A measurement is good for this long, and for this many times of what it took: counting a volume of a million files takes at most that share of a processor.
	measureAtLeast = 30 * time.Second
	measureShare   = 20
	// measureTime bounds a measurement. It is how long the kubelet waits for an answer.
	measureTime = 2 * time.Minute
	// measureAtOnce is how many volumes of a pool are measured at the same time; the others wait for their turn.
	measureAtOnce = 4
)

var (
	errStopped = errors.New("stopped, the volume is being removed or the driver ends")
	errAlone   = errors.New("given up since nobody waited for it any more")
)

// measurement is what is known of what a volume holds.
type measurement struct {
	Usage
	// expires is until when usage and error are good enough.
	expires time.Time
	err     error
	// run is what is under way; nil when nothing is.
	run *run
}

// run is one measurement for all callers who wait for it. It ends when the last of them gives up.
type run struct {
	cancel context.CancelCauseFunc
	// started is zero while the run waits for its turn.
	started time.Time
	waiting int
	// done is closed when usage and err are set.
	done  chan struct{}
	usage Usage
	err   error
}

// Usage returns what a volume takes from its pool, measured not long ago. Callers at the same time share one measurement, which ends with the last of them and after two minutes in any case. It fails with
// ErrTooDeep for a volume that cannot be measured.
func (p *Pools) Usage(ctx context.Context, id string) (Usage, error) {
	one, _, err := p.find(ctx, id)
	if err != nil {
		return Usage{}, err
	}
	usage, r, err := one.measure(ctx, id)
	if r != nil {
		select {
		case <-r.done:
			usage, err = r.usage, r.err
		case <-ctx.Done():
			one.leave(id, r)
			return Usage{}, fmt.Errorf("waiting for the measurement of volume %q: %w", id, ctx.Err())
		}
	}
	if err != nil {
		return Usage{}, fmt.Errorf("measuring volume %q: %w", id, err)
	}
	return usage, nil
}

// measure returns what is known if that is good enough, and otherwise a run to wait for.
func (p *Pool) measure(ctx context.Context, id string) (Usage, *run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.root == nil {
		return Usage{}, nil, fmt.Errorf("%w: pool %q is closed", ErrUnusable, p.Name)
	}
	if p.volumes[id] == nil {
		return Usage{}, nil, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	m := p.usage[id]
	if m == nil {
		m = &measurement{}
		p.usage[id] = m
	}
	switch {
	case m.run != nil:
		m.run.waiting++
		return Usage{}, m.run, nil
	case time.Now().Before(m.expires):
		return m.Usage, nil, m.err
	}
	// It is for those who come later as well, so it does not end with this caller alone.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r, root := &run{cancel: cancel, waiting: 1, done: make(chan struct{})}, p.root
	m.run = r
	p.measuring.Go(func() {
		defer cancel(nil)
		usage, err := p.measureInTurn(ctx, r, root, id)
		p.finishRun(ctx, id, m, r, usage, err)
	})
	return Usage{}, r, nil
}

func (p *Pool) measureInTurn(ctx context.Context, r *run, root *os.Root, id string) (Usage, error) {
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return Usage{}, context.Cause(ctx)
	}
	defer func() { <-p.turns }()
	p.mu.Lock()
	r.started = time.Now()
	p.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, p.measureTime, fmt.Errorf("it has so many files that they could not be counted within %s: %w", p.measureTime, context.DeadlineExceeded))
	defer cancel()
	return p.backend.Measure(ctx, root, dirVolumes+"/"+id)
}

func (p *Pool) finishRun(ctx context.Context, id string, m *measurement, r *run, usage Usage, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.usage, r.err = usage, err
	close(r.done)
	if m.run != r {
		return
	}
	if err != nil && m.err == nil && !errors.Is(err, errStopped) {
		klog.FromContext(ctx).Info("Could not measure a volume", "pool", p.Name, "volume", id, "err", err)
	}
	if err == nil {
		m.Usage = usage
	}
	m.run, m.err = nil, err
	took := time.Duration(0)
	if !r.started.IsZero() {
		took = time.Since(r.started)
	}
	m.expires = time.Now().Add(max(measureAtLeast, measureShare*took))
}

// leave takes a caller off a run and ends it with the last one. What it has cost counts all the same: callers without patience must not have the volume read all the time.
func (p *Pool) leave(id string, r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.waiting--
	m := p.usage[id]
	if r.waiting > 0 || m == nil || m.run != r {
		return
	}
	r.cancel(errAlone)
	m.run = nil
	if took := time.Since(r.started); !r.started.IsZero() && took > time.Second {
		m.err, m.expires = errAlone, time.Now().Add(measureShare*took)
	}
}

func (p *Pool) stopMeasuring(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopMeasuringLocked(id)
}

func (p *Pool) stopMeasuringLocked(id string) {
	if m := p.usage[id]; m != nil && m.run != nil {
		m.run.cancel(errStopped)
	}
}
