package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/csi-driver/provisioner"
	"github.com/virtplane/virtplane/csi-driver/registration"
)

const (
	headerTimeout = 10 * time.Second
	closeTimeout  = 5 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = time.Minute
	// maxHeader is the most that a request's head may have; a token is the largest part of it.
	maxHeader = 64 << 10
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

// probes answers the kubelet, which sends no token. Alive means that the process answers; ready names the check that is not.
func probes(checks []check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, checks) })
	return mux
}

// listenHTTP opens the addresses for metrics and probes.
func listenHTTP(o *options, checks []check) ([]httpServer, error) {
	var servers []httpServer
	if o.metricsAddress != "" {
		config, err := tlsConfig(o.certFile, o.keyFile)
		if err != nil {
			return nil, err
		}
		handler, err := metricsHandler(o)
		if err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", o.metricsAddress)
		if err != nil {
			return nil, fmt.Errorf("--metrics-bind-address: %w", err)
		}
		servers = append(servers, httpServer{listener, handler, config})
	}
	if o.serveAddress != "" {
		listener, err := net.Listen("tcp", o.serveAddress)
		if err != nil {
			return nil, fmt.Errorf("--serve-address: %w", err)
		}
		servers = append(servers, httpServer{listener, probes(checks), nil})
	}
	return servers, nil
}

// httpServer is one address and what is served there, by TLS if there is a configuration of it.
type httpServer struct {
	listener net.Listener
	handler  http.Handler
	tls      *tls.Config
}

// serverLog passes on what the HTTP server has to say, but not what strangers do wrong, as often as they like.
type serverLog struct{ ctx context.Context }

func (l serverLog) Write(line []byte) (int, error) {
	level := 0
	if bytes.HasPrefix(line, []byte("http: TLS handshake error")) {
		level = 4
	}
	klog.FromContext(l.ctx).V(level).Info("HTTP server", "said", string(bytes.TrimSpace(line)))
	return len(line), nil
}

// serve serves until ctx ends.
func (h httpServer) serve(ctx context.Context) error {
	server := &http.Server{
		Handler: h.handler, TLSConfig: h.tls, ReadHeaderTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(serverLog{ctx}, "", 0),
	}
	failed := make(chan error, 1)
	go func() {
		if h.tls != nil {
			failed <- server.ServeTLS(h.listener, "", "")
			return
		}
		failed <- server.Serve(h.listener)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", h.listener.Addr(), err)
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
