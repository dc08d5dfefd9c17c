package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// ServeConfig describes a member that runs by itself.
type ServeConfig struct {
	Folder     Folder
	Cluster    Cluster
	QuotaBytes int64
	// ListenPeer and ListenClient are the URLs to serve on.
	ListenPeer, ListenClient string
}

// Server runs a member.
type Server struct {
	config ServeConfig

	mu     sync.Mutex
	member *Member
}

// NewServer prepares a member; Run runs it.
func NewServer(c ServeConfig) *Server {
	RegisterMetrics()
	return &Server{config: c}
}

// Ready returns nil when the member takes part in the cluster and answers reads by quorum.
func (s *Server) Ready(ctx context.Context) error {
	s.mu.Lock()
	m := s.member
	s.mu.Unlock()
	if m == nil {
		return errors.New("the member has not started: see its log")
	}
	if _, err := m.client.Get(ctx, "/.virtplane-store/health"); err != nil {
		return fmt.Errorf("reading by quorum: %w", err)
	}
	return nil
}

// Run runs the member until ctx ends. A store that was restored meanwhile takes the place of the old one.
func (s *Server) Run(ctx context.Context) error {
	unlock, err := s.config.Folder.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for {
		kept, err := s.config.Folder.takeRestored()
		if err != nil {
			return fmt.Errorf("taking a restored store: %w", err)
		}
		if kept != "" {
			klog.FromContext(ctx).Info("Took the restored store; delete the old one when it is not needed any more", "old", kept)
		}
		again, err := s.runOnce(ctx)
		if err != nil || !again {
			return err
		}
	}
}

// runOnce runs the member once. Again is true when there is a restored store to take.
func (s *Server) runOnce(ctx context.Context) (again bool, err error) {
	logger := klog.FromContext(ctx)
	c := s.config
	used, err := c.Folder.Used()
	if err != nil {
		return false, fmt.Errorf("looking at the store's folder: %w", err)
	}
	// A member with data knows the cluster from it; the peers only say how many there may be.
	p := place{peers: map[string]string{c.Cluster.Self.Name: c.Cluster.Self.PeerURL}}
	for _, o := range c.Cluster.Others {
		p.peers[o.Name] = o.PeerURL
	}
	if !used {
		if p, err = c.Cluster.findPlace(ctx); err != nil {
			return false, err
		}
		logger.Info("Starting without data", "joins", p.join, "members", len(p.peers))
	}
	m, err := StartMember(ctx, MemberConfig{
		Dir:  string(c.Folder),
		Name: c.Cluster.Self.Name, Peers: p.peers, Join: p.join, Several: len(c.Cluster.Others) > 0,
		ListenPeer: c.ListenPeer, ListenClient: c.ListenClient, AdvertiseClient: c.Cluster.Self.ClientURL,
		TLS: c.Cluster.TLS, QuotaBytes: c.QuotaBytes,
	})
	if err != nil {
		return false, err
	}
	s.set(m)
	logger.Info("The member serves", "name", c.Cluster.Self.Name)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() {
		s.set(nil)
		cancel()
		m.Close()
		wg.Wait()
	}()
	id := uint64(m.etcd.Server.MemberID())
	wg.Go(func() {
		if err := promote(ctx, m.client, id); err != nil && ctx.Err() == nil {
			logger.Error(err, "Could not become a voting member")
		}
	})
	keep := newMaintainer(m, c.Cluster.Self.ClientURL)
	wg.Go(func() { keep.run(ctx) })

	restored := time.NewTicker(500 * time.Millisecond)
	defer restored.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case err := <-m.Err():
			return false, fmt.Errorf("the member ended: %w", err)
		case <-m.etcd.Server.StopNotify():
			return false, errors.New("the member stopped: was it removed from the cluster?")
		case <-restored.C:
			if _, err := os.Stat(c.Folder.restoredDir()); err == nil {
				return true, nil
			}
		}
	}
}

func (s *Server) set(m *Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.member = m
}
