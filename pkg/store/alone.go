package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Alone is a store of one member inside another program. It opens no socket.
type Alone struct {
	member *Member
	err    chan error
	stop   func()
}

// StartAlone starts the store in a folder. A store that was restored into the folder is taken first.
func StartAlone(ctx context.Context, folder Folder, quotaBytes int64) (*Alone, error) {
	RegisterMetrics()
	unlock, err := folder.lock()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	if _, err := folder.takeRestored(); err != nil {
		unlock()
		return nil, err
	}
	m, err := StartMember(ctx, MemberConfig{Dir: string(folder), QuotaBytes: quotaBytes})
	if err != nil {
		unlock()
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := &Alone{member: m, err: make(chan error, 1)}
	var wg sync.WaitGroup
	a.stop = sync.OnceFunc(func() {
		cancel()
		m.Close()
		wg.Wait()
		unlock()
	})
	keep := newMaintainer(m, "in-process")
	wg.Go(func() { keep.run(ctx) })
	wg.Go(func() { a.watch(ctx, folder) })
	return a, nil
}

// watch tells why the store must be started again.
func (a *Alone) watch(ctx context.Context, folder Folder) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-a.member.Err():
			a.err <- err
			return
		case <-a.member.etcd.Server.StopNotify():
			if ctx.Err() == nil {
				a.err <- errors.New("the member stopped by itself")
			}
			return
		case <-ticker.C:
			if _, err := os.Stat(folder.restoredDir()); err == nil {
				a.err <- errors.New("a restored store waits to be taken: start again")
				return
			}
		}
	}
}

// Client talks to the store. It lives as long as the store.
func (a *Alone) Client() *clientv3.Client { return a.member.client }

// Err tells, once, why the store must be started again.
func (a *Alone) Err() <-chan error { return a.err }

// Close stops the store.
func (a *Alone) Close() { a.stop() }
