package apiserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/pkg/apiserver/certs"
	"github.com/virtplane/virtplane/pkg/apiserver/leader"
	"github.com/virtplane/virtplane/pkg/apiserver/placement"
	"github.com/virtplane/virtplane/pkg/apiserver/registration"
	"github.com/virtplane/virtplane/pkg/store"
)

// Run serves until ctx ends, or something fails that only a new start can repair.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// What requests depend on outlives the server: they are served to the end.
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	run := func(ctx context.Context, what string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	reporter := newReporter(s.extra.Host, s.extra.Namespace)
	defer reporter.stop()
	s.extra.Guard.OnBlock = reporter.store
	run(background, "guarding the store", s.extra.Guard.Run)
	run(background, "following certificates", s.extra.Source.Run)
	run(background, "following the agents of nodes", s.nodes.Run)
	run(background, "following the cluster's configuration", s.followConfiguration)
	run(background, "embedded store", s.watchStore)
	run(ctx, "leader election", func(ctx context.Context) error {
		return leader.Run(ctx, s.extra.Host, s.extra.Namespace, "virt-api", s.chores())
	})
	if s.extra.Register {
		run(ctx, "waiting for the groups", func(ctx context.Context) error { return s.waitRegistered(ctx, reporter) })
		run(ctx, "announcing", s.announce)
	}

	err := s.Generic.PrepareRun().RunWithContext(ctx)
	cancel(err)
	stopBackground()
	wg.Wait()
	s.backend.Stop()
	s.extra.Store.Close()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// waitRegistered looks until kube-apiserver sends the requests for our groups to this server.
func (s *Server) waitRegistered(ctx context.Context, reporter *reporter) error {
	for {
		err := s.extra.Registrar.Check(ctx)
		for _, lasting := range []error{registration.ErrForeign, registration.ErrUnsupported} {
			if errors.Is(err, lasting) && !errors.Is(s.registered.get(), lasting) {
				reporter.groups(err)
			}
		}
		s.registered.set(err)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// verdict is an error that changes.
type verdict struct {
	mu  sync.Mutex
	err error
}

func (v *verdict) set(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func (v *verdict) get() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

func (s *Server) watchStore(ctx context.Context) error {
	select {
	case err := <-s.extra.Store.Err: // nil, which blocks, for a store elsewhere
		return err
	case <-ctx.Done():
		return nil
	}
}

func (s *Server) chores() []leader.Chore {
	return []leader.Chore{
		{Name: "certificates", Every: certs.SyncEvery, Retry: 2 * time.Second, Do: s.syncCertificates},
		{Name: "store-placement", Every: 2 * time.Second, Retry: 2 * time.Second, Do: s.placeStore},
		{Name: "configuration", Every: time.Minute, Retry: time.Second, Do: s.syncConfiguration},
	}
}

// syncCertificates renews certificates, and tells kube-apiserver how to verify this server.
func (s *Server) syncCertificates(ctx context.Context) error {
	bundle, err := s.extra.Manager.Sync(ctx)
	if err != nil || !s.extra.Register {
		return err
	}
	if err := errors.Join(s.extra.Registrar.Supported(), s.extra.Registrar.Foreign(ctx)); err != nil {
		return err
	}
	return s.extra.Registrar.Sync(ctx, bundle)
}

// placeStore lets the members of the store start where their data is.
func (s *Server) placeStore(ctx context.Context) error {
	return placement.Sync(ctx, s.extra.Host, s.extra.Namespace, store.NewConfigMapAnchor(s.extra.Host, s.extra.Namespace).Node)
}

// followConfiguration begins when the store is served: a reflector that is refused before backs off for half a minute, and
// nothing is ready without the configuration.
func (s *Server) followConfiguration(ctx context.Context) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for s.extra.Guard.Check() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	return s.config.Run(ctx)
}

// syncConfiguration makes the first KubeVirt object once there is a store to put it into.
func (s *Server) syncConfiguration(ctx context.Context) error {
	if err := s.extra.Guard.Check(); err != nil {
		return err
	}
	return s.config.EnsureInitial(ctx, s.extra.Host, s.extra.Guard.ID())
}

// announceAfter is when, after this server has become ready, kube-apiserver is asked to look: at once, and again when the
// endpoints of the Service have surely changed.
var announceAfter = []time.Duration{0, 3 * time.Second, 10 * time.Second}

// announce has kube-apiserver look whenever this server becomes ready.
func (s *Server) announce(ctx context.Context) error {
	var readySince time.Time
	told := 0
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			switch ready := s.extra.Guard.Check() == nil && s.extra.Source.Check() == nil && s.config.Check() == nil; {
			case !ready:
				readySince, told = time.Time{}, 0
			case readySince.IsZero():
				readySince = now
				fallthrough
			case told < len(announceAfter) && now.Sub(readySince) >= announceAfter[told]:
				told++
				if err := s.extra.Registrar.Announce(ctx, now); err != nil {
					klog.FromContext(ctx).Error(err, "Could not announce this server to kube-apiserver")
				}
			}
		}
	}
}
