package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"

	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

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
	tokens, err := authenticationclient.NewForConfig(config)
	if err != nil {
		return metrics.Reviews{}, fmt.Errorf("making a client: %w", err)
	}
	access, err := authorizationclient.NewForConfig(config)
	if err != nil {
		return metrics.Reviews{}, fmt.Errorf("making a client: %w", err)
	}
	return metrics.Reviews{Tokens: tokens.TokenReviews(), Access: access.SubjectAccessReviews(), Clock: clock.RealClock{}}, nil
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
	var pair tls.Certificate
	var err error
	if c.certFile != "" {
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err != nil {
			return fmt.Errorf("--tls-cert-file, --tls-private-key-file: %w", err)
		}
	} else if pair, err = selfSigned(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.good = &pair
	return nil
}

// selfSigned lasts longer than any process.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: userAgent}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
