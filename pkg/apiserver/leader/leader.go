// Package leader runs the chores that one replica does for all.
//
// It knows when they run, not what they do.
package leader

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// Chore is something that is done again and again; each run brings the world to the wanted state.
type Chore struct {
	Name  string
	Every time.Duration
	// Retry is how soon a chore that failed is tried again.
	Retry time.Duration
	Do    func(ctx context.Context) error
}

// Run does the chores whenever this process is the leader, until ctx ends. The Lease is given back at the end.
func Run(ctx context.Context, client kubernetes.Interface, namespace, lease string, chores []Chore) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding a name for the leader election: %w", err)
	}
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: lease},
		Client:     client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
	}
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock:            lock,
			LeaseDuration:   15 * time.Second,
			RenewDeadline:   10 * time.Second,
			RetryPeriod:     2 * time.Second,
			ReleaseOnCancel: true,
			Name:            lease,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) { runAll(ctx, chores) },
				OnStoppedLeading: func() {},
			},
		})
		if err != nil {
			return fmt.Errorf("preparing the leader election: %w", err)
		}
		elector.Run(ctx) // ends when the lead is lost: try to get it back
	}
	return nil
}

func runAll(ctx context.Context, chores []Chore) {
	var wg sync.WaitGroup
	for _, c := range chores {
		wg.Go(func() { c.run(ctx) })
	}
	wg.Wait()
}

func (c Chore) run(ctx context.Context) {
	logger := klog.FromContext(ctx).WithName("leader").WithValues("chore", c.Name)
	ctx = klog.NewContext(ctx, logger)
	var said string
	for {
		wait := c.Every
		if err := c.Do(ctx); err != nil && ctx.Err() == nil {
			wait = c.Retry
			if err.Error() != said {
				said = err.Error()
				logger.Error(err, "Chore failed, trying again")
			}
		} else {
			said = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
