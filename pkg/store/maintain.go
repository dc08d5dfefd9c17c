package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"k8s.io/klog/v2"
)

const (
	// maintainEvery is how often a member looks at its database.
	maintainEvery = time.Minute
	// Defragmentation gives back what is free inside the file, once that is worth the pause.
	defragMinFree = 64 << 20
	// alarmShare of the quota is when an administrator should hear of it.
	alarmShare = 0.8
)

// maintainer defragments a member's database and watches its size.
type maintainer struct {
	client *clientv3.Client
	// endpoint names the member to the client; defrag rewrites its file. The client in the same process cannot ask for that.
	endpoint string
	defrag   func() error
	member   uint64
	quota    int64
	clock    func() time.Time
	last     time.Time
}

func newMaintainer(m *Member, endpoint string) *maintainer {
	return &maintainer{
		client: m.client, endpoint: endpoint, member: uint64(m.etcd.Server.MemberID()), quota: m.quota, clock: time.Now,
		defrag: func() error { return m.etcd.Server.Backend().Defrag() },
	}
}

func (m *maintainer) run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(maintainEvery):
		}
		if err := m.once(ctx); err != nil && ctx.Err() == nil {
			logger.Error(err, "Could not maintain the store's database")
		}
	}
}

func (m *maintainer) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maintainEvery)
	defer cancel()
	logger := klog.FromContext(ctx)
	status, err := m.client.Status(ctx, m.endpoint)
	if err != nil {
		return fmt.Errorf("reading the database's size: %w", err)
	}
	observeSize(status.DbSize, status.DbSizeInUse, m.quota)
	if float64(status.DbSizeInUse) > alarmShare*float64(m.quota) {
		logger.Error(nil, "The store is nearly full: delete objects, or raise --quota-bytes", "usedBytes", status.DbSizeInUse, "quotaBytes", m.quota)
	}
	full, err := m.full(ctx)
	if err != nil {
		return err
	}
	free := status.DbSize - status.DbSizeInUse
	if free < defragMinFree || free < status.DbSize/2 {
		if !full {
			return nil
		}
		if free < status.DbSize/10 {
			return errors.New("the store is full and takes no writes: raise --quota-bytes")
		}
	}
	if !full && m.clock().Sub(m.last) < time.Hour {
		return nil
	}
	if err := m.defragment(ctx); err != nil {
		return err
	}
	m.last = m.clock()
	if full {
		if _, err := m.client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: m.member, Alarm: etcdserverpb.AlarmType_NOSPACE}); err != nil {
			return fmt.Errorf("taking the alarm of a full store back: %w", err)
		}
		logger.Info("The store takes writes again")
	}
	return nil
}

// full is true when this member has raised the alarm that its database has reached its quota.
func (m *maintainer) full(ctx context.Context) (bool, error) {
	alarms, err := m.client.AlarmList(ctx)
	if err != nil {
		return false, fmt.Errorf("reading alarms: %w", err)
	}
	for _, a := range alarms.Alarms {
		if a.MemberID == m.member && a.Alarm == etcdserverpb.AlarmType_NOSPACE {
			return true, nil
		}
	}
	return false, nil
}

// defragment rewrites the database's file. The member answers nothing meanwhile, so members take turns.
func (m *maintainer) defragment(ctx context.Context) error {
	members, err := m.client.MemberList(ctx)
	if err != nil {
		return fmt.Errorf("listing members: %w", err)
	}
	if len(members.Members) > 1 {
		session, err := concurrency.NewSession(m.client, concurrency.WithTTL(60), concurrency.WithContext(ctx))
		if err != nil {
			return fmt.Errorf("taking turns with the other members: %w", err)
		}
		defer session.Close()
		turn := concurrency.NewMutex(session, "/.virtplane-store/defragment")
		if err := turn.Lock(ctx); err != nil {
			return fmt.Errorf("taking turns with the other members: %w", err)
		}
		defer func() { _ = turn.Unlock(context.WithoutCancel(ctx)) }()
	}
	start := time.Now()
	if err := m.defrag(); err != nil {
		return fmt.Errorf("defragmenting: %w", err)
	}
	klog.FromContext(ctx).Info("Defragmented the store's database", "duration", time.Since(start))
	return nil
}
