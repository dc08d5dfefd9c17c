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
	host *harness.Host
	api  *harness.VirtAPI
}

func TestMain(m *testing.M) {
	harness.Main(m, func(ctx context.Context, h *harness.Host) (func(), error) {
		if err := h.Register(ctx, 8443); err != nil {
			return nil, err
		}
		api, err := h.StartVirtAPI("virt-api", 8443, "--embedded-etcd="+h.TempDir("store"))
		if err != nil {
			return nil, err
		}
		env.host, env.api = h, api
		if err := api.WaitReady(time.Minute); err != nil {
			return nil, err
		}
		return api.Stop, h.WaitAvailable(ctx, api, time.Minute)
	})
}
