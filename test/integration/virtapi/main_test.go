// Package virtapi tests virt-api behind a real kube-apiserver.
package virtapi

import (
	"context"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/integration/harness"
)

// env is the one environment of the package.
var env struct {
	*harness.Host
	api   *harness.VirtAPI
	store *harness.Store
	// storeFile is the kubeconfig of the store's service account.
	storeFile string
}

func TestMain(m *testing.M) {
	harness.Main(m, func(ctx context.Context, h *harness.Host) (stop func(), err error) {
		env.Host = h
		const port = 8443
		if err := h.Register(ctx, port); err != nil {
			return nil, err
		}
		if _, env.storeFile, err = h.ServiceAccount(ctx, "virt-store", nil); err != nil {
			return nil, err
		}
		// In the order of a first installation: virt-api makes the certificates that its store waits for.
		if env.api, err = h.StartVirtAPI("virt-api", port, "--etcd-servers="+harness.StoreURL, "--allow-direct-requests"); err != nil {
			return nil, err
		}
		stop = func() {
			env.api.Stop()
			if env.store != nil {
				env.store.Stop()
			}
		}
		if env.store, err = h.StartStore(ctx, env.storeFile); err != nil {
			return stop, err
		}
		if err := env.api.WaitReady(time.Minute); err != nil {
			return stop, err
		}
		return stop, h.WaitAvailable(ctx, env.api, time.Minute)
	})
}
