package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	subresourcesv1 "github.com/virtplane/virtplane/pkg/apis/subresources/v1"
)

const (
	signTimeout = 30 * time.Second
	firstRetry  = time.Second
	lastRetry   = time.Minute
	// alarm is the part of a certificate's life that is left when readiness begins to fail.
	alarm = 0.1
	// refresh bounds the time between two requests, so that a new authority of virt-api is known soon.
	refresh = time.Hour
)

// Signer has a certificate request signed.
type Signer interface {
	Sign(ctx context.Context, request []byte) (*subresourcesv1.NodeCertificateStatus, error)
}

// Source holds the certificate. Make one by New and let Run run.
type Source struct {
	node   string
	signer Signer
	clock  clock.Clock

	mu      sync.RWMutex
	current *tls.Certificate
	leaf    *x509.Certificate
	clients *x509.CertPool
	failed  error
}

// New prepares a Source for a node.
func New(node string, signer Signer, clock clock.Clock) *Source {
	return &Source{node: node, signer: signer, clock: clock}
}

// Run gets certificates until ctx ends.
func (s *Source) Run(ctx context.Context) {
	log := klog.FromContext(ctx)
	wait := firstRetry
	for ctx.Err() == nil {
		next, err := s.renew(ctx)
		s.mu.Lock()
		s.failed = err
		s.mu.Unlock()
		if err != nil {
			log.Error(err, "Could not get a serving certificate, trying again", "wait", wait)
			next, wait = wait, min(2*wait, lastRetry)
		} else {
			wait = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-s.clock.After(next):
		}
	}
}

// renew gets a certificate for a fresh key and gives the time until the next should be asked for.
func (s *Source) renew(ctx context.Context) (time.Duration, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, fmt.Errorf("making a key: %w", err)
	}
	name := subresourcesv1.NodeServerName(s.node)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
	if err != nil {
		return 0, fmt.Errorf("making a certificate request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	signed, err := s.signer.Sign(ctx, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	if err != nil {
		return 0, fmt.Errorf("asking virt-api for a certificate: %w", err)
	}
	cert, err := pair(signed.Certificate, key)
	if err != nil {
		return 0, fmt.Errorf("reading the certificate from virt-api: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(signed.CABundle) {
		return 0, errors.New("virt-api named no authority of its own certificates")
	}
	if err := cert.Leaf.VerifyHostname(name); err != nil {
		return 0, fmt.Errorf("the certificate from virt-api is for another node: %w", err)
	}
	s.mu.Lock()
	s.current, s.leaf, s.clients = cert, cert.Leaf, clients
	s.mu.Unlock()
	next := cert.Leaf.NotAfter.Sub(s.clock.Now()) / 2
	if !signed.RenewAfter.IsZero() {
		next = signed.RenewAfter.Sub(s.clock.Now())
	}
	next = min(max(next, firstRetry), refresh)
	klog.FromContext(ctx).Info("Got a serving certificate", "notAfter", cert.Leaf.NotAfter, "renewIn", next)
	return next, nil
}

func pair(chain []byte, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
	cert := &tls.Certificate{PrivateKey: key}
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			cert.Certificate = append(cert.Certificate, block.Bytes)
		}
	}
	if len(cert.Certificate) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, err
	}
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(&key.PublicKey) {
		return nil, errors.New("it is for another key")
	}
	cert.Leaf = leaf
	return cert, nil
}

var errNone = errors.New("there is no serving certificate yet")

// Ready fails while there is no certificate and when the one there is ends soon.
func (s *Source) Ready() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.leaf == nil {
		return errors.Join(errNone, s.failed)
	}
	left := s.leaf.NotAfter.Sub(s.clock.Now())
	if whole := s.leaf.NotAfter.Sub(s.leaf.NotBefore); left < time.Duration(alarm*float64(whole)) {
		return errors.Join(fmt.Errorf("the serving certificate ends in %s and could not be renewed", left.Round(time.Second)), s.failed)
	}
	return nil
}

// Certificate gives the present certificate, for servers that verify no clients.
func (s *Source) Certificate() (*tls.Certificate, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.current == nil {
		return nil, errNone
	}
	return s.current, nil
}

// TLS is the configuration of a server that only virt-api may talk to. Each connection uses what is current.
func (s *Source) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s.mu.RLock()
			defer s.mu.RUnlock()
			if s.current == nil {
				return nil, errNone
			}
			return &tls.Config{
				MinVersion:       tls.VersionTLS13,
				NextProtos:       []string{"http/1.1"},
				Certificates:     []tls.Certificate{*s.current},
				ClientAuth:       tls.RequireAndVerifyClientCert,
				ClientCAs:        s.clients,
				VerifyConnection: onlyAPI,
				// A resumed session would not be verified against a new authority.
				SessionTicketsDisabled: true,
			}, nil
		},
	}
}

// onlyAPI refuses clients whose certificate is good but another's: nodes have one of the same authority.
func onlyAPI(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the client shows no certificate")
	}
	if name := state.PeerCertificates[0].Subject.CommonName; name != subresourcesv1.APICommonName {
		return fmt.Errorf("the client's certificate is for %q; only %q may talk to a node agent", name, subresourcesv1.APICommonName)
	}
	return nil
}
