package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/klog/v2"
)

// Peer is a member as others reach it.
type Peer struct{ Name, PeerURL, ClientURL string }

// Cluster lets members find each other: each has a fixed name and fixed URLs, as the pods of a StatefulSet have.
type Cluster struct {
	// Self is this member, and Others the rest of those that there may be.
	Self   Peer
	Others []Peer
	TLS    TLSFiles
	// First is true for the member that founds the cluster.
	First bool
	// Founded tells whether the cluster was ever founded, as far as is known outside of it. A founder that has lost its data
	// must not found a second one beside it.
	Founded func(ctx context.Context) (bool, error)
}

// errWait says that there is nothing to do yet.
var errWait = errors.New("waiting")

// place is how a member without data starts.
type place struct {
	join  bool
	peers map[string]string
}

// findPlace waits until a member without data can enter the cluster, or found it.
func (c *Cluster) findPlace(ctx context.Context) (place, error) {
	logger := klog.FromContext(ctx)
	var said string
	for {
		p, err := c.tryPlace(ctx)
		if !errors.Is(err, errWait) {
			return p, err
		}
		if err.Error() != said {
			said = err.Error()
			logger.Info("Waiting for a place in the cluster", "why", said)
		}
		select {
		case <-ctx.Done():
			return place{}, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}

func (c *Cluster) tryPlace(ctx context.Context) (place, error) {
	alone := place{peers: map[string]string{c.Self.Name: c.Self.PeerURL}}
	if len(c.Others) == 0 {
		return alone, nil // a store of one, which is not served if it should not be empty
	}
	p, err := c.join(ctx)
	if err == nil {
		return p, nil
	}
	if !c.First {
		return place{}, fmt.Errorf("%w for another member: %w", errWait, err)
	}
	founded, ferr := c.Founded(ctx)
	switch {
	case ferr != nil:
		return place{}, fmt.Errorf("%w to learn whether the cluster was founded before: %w", errWait, ferr)
	case founded:
		return place{}, fmt.Errorf("%w for another member, since the cluster was founded before and this member has no data: %w", errWait, err)
	}
	return alone, nil
}

// join enters the cluster through a member that is there.
func (c *Cluster) join(ctx context.Context) (place, error) {
	var errs []error
	for _, other := range c.Others {
		p, err := c.joinThrough(ctx, other)
		if err == nil {
			return p, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", other.Name, err))
	}
	return place{}, errors.Join(errs...)
}

func (c *Cluster) joinThrough(ctx context.Context, other Peer) (place, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	config, err := c.TLS.ClientConfig()
	if err != nil {
		return place{}, err
	}
	client, err := Dial([]string{other.ClientURL}, config, nil)
	if err != nil {
		return place{}, err
	}
	defer client.Close()
	list, err := client.MemberList(ctx)
	if err != nil {
		return place{}, err
	}
	for _, m := range list.Members {
		if m.IsLearner && !slices.Contains(m.PeerURLs, c.Self.PeerURL) {
			return place{}, fmt.Errorf("member %v enters the cluster first", m.PeerURLs)
		}
	}
	// This member has no data: whatever stood under its URL is lost.
	for _, m := range list.Members {
		if slices.Contains(m.PeerURLs, c.Self.PeerURL) {
			if _, err := client.MemberRemove(ctx, m.ID); err != nil {
				return place{}, fmt.Errorf("removing this member's lost predecessor: %w", err)
			}
		}
	}
	added, err := client.MemberAddAsLearner(ctx, []string{c.Self.PeerURL})
	if err != nil {
		return place{}, fmt.Errorf("adding this member: %w", err)
	}
	p := place{join: true, peers: map[string]string{}}
	for _, m := range added.Members {
		name := m.Name
		if m.ID == added.Member.ID {
			name = c.Self.Name
		}
		if name == "" {
			return place{}, fmt.Errorf("member %x has not started yet", m.ID)
		}
		for _, u := range m.PeerURLs {
			p.peers[name] = u
		}
	}
	return p, nil
}

// promote makes a learner a voting member once it has caught up.
func promote(ctx context.Context, client *clientv3.Client, id uint64) error {
	for {
		list, err := client.MemberList(ctx)
		if err == nil {
			i := slices.IndexFunc(list.Members, func(m *etcdserverpb.Member) bool { return m.ID == id })
			if i < 0 {
				return fmt.Errorf("member %x is not in the cluster any more", id)
			}
			if !list.Members[i].IsLearner {
				return nil
			}
			_, err = client.MemberPromote(ctx, id)
		}
		if err == nil || errors.Is(err, rpctypes.ErrMemberNotLearner) {
			klog.FromContext(ctx).Info("Became a voting member of the store")
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("becoming a voting member of the store: %w: %w", err, context.Cause(ctx))
		case <-time.After(500 * time.Millisecond):
		}
	}
}
