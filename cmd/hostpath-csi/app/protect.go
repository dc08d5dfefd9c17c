package app

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/pkg/metrics"
)

// metricsHandler shows the metrics, to those who may see them unless they are open.
func metricsHandler(o *options) (http.Handler, error) {
	show := legacyregistry.Handler()
	if !o.openMetrics {
		reviews, err := newReviews(o)
		if err != nil {
			return nil, fmt.Errorf("%w; metrics need it to know who may see them: --open-metrics shows them to everybody, an empty --metrics-bind-address to nobody", err)
		}
		show = metrics.Protect(reviews, show)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", show)
	return mux, nil
}

// newReviews has clients of its own, so that strangers who ask for metrics take nothing of the provisioner's share of requests.
func newReviews(o *options) (metrics.Reviews, error) {
	config, err := clientConfig(o.kubeconfig)
	if err != nil {
		return metrics.Reviews{}, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return metrics.Reviews{}, fmt.Errorf("making a client: %w", err)
	}
	return metrics.NewReviews(config, client)
}

func tlsConfig(certFile, keyFile string) (*tls.Config, error) {
	current := &certificate{certFile: certFile, keyFile: keyFile}
	if err := current.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: current.get, NextProtos: []string{"http/1.1"}}, nil
}

// certificate is that of two files, or a self-signed one if there are none.
type certificate struct {
	certFile, keyFile string

	mu   sync.Mutex
	good *tls.Certificate
}

// get reads the files for each connection: those who read metrics connect seldom. Files that are just being replaced do not fit together for a moment; until then the last pair counts.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.certFile != "" {
		if err := c.load(); err != nil {
			klog.Background().Error(err, "Could not read the certificate anew, the last one stays")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good, nil
}

func (c *certificate) load() error {
	pair, err := c.read()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.good = pair
	return nil
}

func (c *certificate) read() (*tls.Certificate, error) {
	if c.certFile == "" {
		return metrics.SelfSigned(userAgent)
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert-file, --tls-private-key-file: %w", err)
	}
	return &pair, nil
}
