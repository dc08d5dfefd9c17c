package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	subresourcesv1 "github.com/virtplane/virtplane/pkg/apis/subresources/v1"
)

// Source reads the Secrets and holds what is current of them.
type Source struct {
	client    kubernetes.Interface
	namespace string
	policy    Policy
	clock     clock.PassiveClock

	mu        sync.RWMutex
	server    *Pair
	cert      *tls.Certificate
	bundle    []byte
	roots     *x509.CertPool
	signer    *Pair
	first     dynamiccertificates.CertKeyContentProvider
	listeners []dynamiccertificates.Listener
}

var _ dynamiccertificates.CertKeyContentProvider = &Source{}

// NewSource makes a source. Until there is a Secret it serves with first.
func NewSource(client kubernetes.Interface, namespace string, policy Policy, first dynamiccertificates.CertKeyContentProvider) *Source {
	return &Source{client: client, namespace: namespace, policy: policy, clock: clock.RealClock{}, first: first}
}

// Run follows the Secrets until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	var synced []cache.InformerSynced
	for name, take := range map[string]func(map[string][]byte) error{AuthoritySecret: s.takeAuthority, APISecret: s.takeAPI} {
		factory := informers.NewSharedInformerFactoryWithOptions(s.client, 0, informers.WithNamespace(s.namespace),
			informers.WithTweakListOptions(func(o *metav1.ListOptions) {
				o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
			}))
		informer := factory.Core().V1().Secrets().Informer()
		handle := func(obj any) {
			secret := obj.(*corev1.Secret)
			if err := take(secret.Data); err != nil {
				// What was good stays in use; the leader writes it anew.
				logDamaged(ctx, secret, err)
			}
		}
		reg, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    handle,
			UpdateFunc: func(_, obj any) { handle(obj) },
		})
		if err != nil {
			return err
		}
		synced = append(synced, reg.HasSynced)
		factory.Start(ctx.Done())
	}
	cache.WaitForCacheSync(ctx.Done(), synced...)
	<-ctx.Done()
	return nil
}

func (s *Source) takeAuthority(data map[string][]byte) error {
	signer, err := parsePair(data[keyCert], data[keyKey])
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signer = signer
	return nil
}

func (s *Source) takeAPI(data map[string][]byte) error {
	server, err := parsePair(data[keyServerCert], data[keyServerKey])
	if err != nil {
		return fmt.Errorf("serving certificate: %w", err)
	}
	client, err := tls.X509KeyPair(data[keyClientCert], data[keyClientKey])
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data[keyCA]) {
		return errors.New("there is no authority in " + keyCA)
	}
	s.mu.Lock()
	s.server, s.cert, s.roots, s.bundle = server, &client, roots, bytes.Clone(data[keyCA])
	listeners := slices.Clone(s.listeners)
	s.mu.Unlock()
	for _, l := range listeners {
		l.Enqueue()
	}
	return nil
}

// Name implements dynamiccertificates.CertKeyContentProvider.
func (*Source) Name() string { return "virt-api-certs" }

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (s *Source) CurrentCertKeyContent() ([]byte, []byte) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.server == nil {
		return s.first.CurrentCertKeyContent()
	}
	return s.server.CertPEM, s.server.KeyPEM
}

// AddListener implements dynamiccertificates.Notifier.
func (s *Source) AddListener(l dynamiccertificates.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, l)
}

// Check fails while there is no certificate, and when the leader has not renewed one that is about to end.
func (s *Source) Check() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.server == nil {
		return fmt.Errorf("waiting for the leader to write Secret %s/%s", s.namespace, APISecret)
	}
	for _, c := range []*x509.Certificate{s.server.Cert, s.cert.Leaf} {
		if now := s.clock.Now(); !now.Before(alarmAt(c)) {
			return fmt.Errorf("the certificate of %s ends %s and was not renewed: see the log of the virt-api that holds Lease %s/virt-api",
				c.Subject.CommonName, c.NotAfter.UTC().Format(time.RFC3339), s.namespace)
		}
	}
	return nil
}

// ClientTLS is the configuration to call a server with that has a certificate of the authority for this name.
func (s *Source) ClientTLS(serverName string) (*tls.Config, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cert == nil {
		return nil, fmt.Errorf("there is no client certificate yet: waiting for Secret %s/%s", s.namespace, APISecret)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		ServerName:   serverName,
		RootCAs:      s.roots,
		Certificates: []tls.Certificate{*s.cert},
	}, nil
}

// StoreTLS is the configuration to call members of the store with. It always uses the current certificates.
func (s *Source) StoreTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			s.mu.RLock()
			defer s.mu.RUnlock()
			if s.cert == nil {
				return nil, fmt.Errorf("there is no client certificate yet: waiting for Secret %s/%s", s.namespace, APISecret)
			}
			return s.cert, nil
		},
		// Roots cannot change in a configuration, so the usual check is switched off and made here.
		InsecureSkipVerify: true,
		VerifyConnection: func(c tls.ConnectionState) error {
			s.mu.RLock()
			roots := s.roots
			s.mu.RUnlock()
			if roots == nil {
				return ErrNoAuthority
			}
			o := x509.VerifyOptions{Roots: roots, DNSName: c.ServerName, Intermediates: x509.NewCertPool(), CurrentTime: s.clock.Now()}
			for _, i := range c.PeerCertificates[1:] {
				o.Intermediates.AddCert(i)
			}
			_, err := c.PeerCertificates[0].Verify(o)
			return err
		},
	}
}

// Generation changes whenever ClientTLS would return something else.
func (s *Source) Generation() any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cert
}

// SignNode signs the serving certificate of a node.
func (s *Source) SignNode(node string, request []byte) (*subresourcesv1.NodeCertificateStatus, error) {
	block, _ := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("spec.request must be a PEM block of type CERTIFICATE REQUEST")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("spec.request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("spec.request: %w", err)
	}
	switch csr.PublicKeyAlgorithm {
	case x509.ECDSA, x509.Ed25519:
	default:
		return nil, fmt.Errorf("spec.request: a key of type %v is not accepted: use ECDSA or Ed25519", csr.PublicKeyAlgorithm)
	}
	s.mu.RLock()
	signer, bundle := s.signer, s.bundle
	s.mu.RUnlock()
	if signer == nil || bundle == nil {
		return nil, ErrNoAuthority
	}
	name := subresourcesv1.NodeServerName(node)
	cert, err := signer.sign(Request{Name: name, Hosts: []string{name}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, csr.PublicKey, s.clock.Now(), s.policy.Leaf)
	if err != nil {
		return nil, err
	}
	parsed, err := parseCert(cert)
	if err != nil {
		return nil, err
	}
	return &subresourcesv1.NodeCertificateStatus{
		Certificate: cert,
		CABundle:    bundle,
		RenewAfter:  metav1.NewTime(renewAt(parsed)),
		NotAfter:    metav1.NewTime(parsed.NotAfter),
	}, nil
}

// ErrNoAuthority is returned as long as the leader has not made the authority.
var ErrNoAuthority = errors.New("there is no certificate authority yet: try again")

func logDamaged(ctx context.Context, secret *corev1.Secret, err error) {
	klog.FromContext(ctx).Error(err, "Ignored damaged certificates", "secret", klog.KObj(secret))
}
