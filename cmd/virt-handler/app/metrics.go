package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/metrics"
	"github.com/virtplane/virtplane/pkg/node/certs"
)

const shutdownTimeout = 5 * time.Second

// serveMetrics serves metrics and health until ctx ends. It must answer the kubelet also while virt-api, which signs the
// agent's certificate, is away: then with a certificate of its own making.
func serveMetrics(ctx context.Context, listener net.Listener, certificate *certs.Source, configVersion func() string, protect func(http.Handler) http.Handler, ready map[string]func() error) error {
	fallback, err := metrics.SelfSigned("virt-handler")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", protect(legacyregistry.HandlerWithReset()))
	live := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /livez", live)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(machine.Health(configVersion())) // the client has gone when this fails
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answerReady(w, ready) })
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, WriteTimeout: time.Minute,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c, err := certificate.Certificate(); err == nil {
				return c, nil
			}
			return fallback, nil
		}},
	}
	defer context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(ending); err != nil {
			klog.FromContext(ctx).V(2).Info("Metrics were being read", "err", err)
		}
	})()
	err = server.ServeTLS(listener, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving metrics: %w", err)
}

// protection is what stands before the metrics.
func protection(o *Options, kube kubernetes.Interface) func(http.Handler) http.Handler {
	if o.OpenMetrics {
		return func(next http.Handler) http.Handler { return next }
	}
	reviews := metrics.Reviews{Tokens: kube.AuthenticationV1().TokenReviews(), Access: kube.AuthorizationV1().SubjectAccessReviews(), Clock: clock.RealClock{}}
	return func(next http.Handler) http.Handler { return metrics.Protect(reviews, next) }
}

func answerReady(w http.ResponseWriter, ready map[string]func() error) {
	failed := false
	text := ""
	for _, name := range slices.Sorted(maps.Keys(ready)) {
		if err := ready[name](); err != nil {
			failed = true
			text += fmt.Sprintf("%s: %v\n", name, err)
			continue
		}
		text += name + ": ok\n"
	}
	if failed {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprint(w, text)
}
