package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/csi-driver/pool"
	"github.com/virtplane/virtplane/csi-driver/provisioner"
	"github.com/virtplane/virtplane/csi-driver/registration"
)

const (
	headerTimeout = 10 * time.Second
	closeTimeout  = 5 * time.Second
)

type check struct {
	name  string
	ready func() error
}

func checks(registrar *registration.Server, provision *provisioner.Provisioner) []check {
	all := []check{{"registration", registrar.Ready}}
	if provision != nil {
		all = append(all, check{"provisioner", provision.Ready})
	}
	return all
}

// serveHTTP answers probes and hands out metrics. Alive means that the process answers; ready names the check that is not.
func serveHTTP(ctx context.Context, listener net.Listener, pools *pool.Pools, osDir string, checks []check) error {
	legacyregistry.CustomMustRegister(&poolCollector{pools: pools, osDir: osDir})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, checks) })
	mux.Handle("GET /metrics", legacyregistry.Handler())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := server.Shutdown(closing); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		klog.FromContext(ctx).Error(err, "Could not close the HTTP server")
	}
	return nil
}

func readyz(w http.ResponseWriter, checks []check) {
	lines := []string{}
	code := http.StatusOK
	for _, c := range slices.Clone(checks) {
		if err := c.ready(); err != nil {
			code = http.StatusServiceUnavailable
			lines = append(lines, "[-] "+c.name+": "+err.Error())
			continue
		}
		lines = append(lines, "[+] "+c.name)
	}
	w.WriteHeader(code)
	for _, line := range lines {
		_, _ = fmt.Fprintln(w, line)
	}
}
