package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	subresourcesv1 "github.com/virtplane/virtplane/pkg/apis/subresources/v1"
)

const waitFor = 20 * time.Second

// authority plays virt-api's.
type authority struct {
	t     *testing.T
	clock *clocktesting.FakeClock
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate

	mu     sync.Mutex
	asked  int
	err    error
	name   string // for which it signs
	life   time.Duration
	serial int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, clock: clocktesting.NewFakeClock(time.Now()), name: "node:node1", life: 24 * time.Hour}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, &a.key.PublicKey)
	return a
}

func (a *authority) sign(template *x509.Certificate, public any) *x509.Certificate {
	a.t.Helper()
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = a.clock.Now().Add(-time.Minute), a.clock.Now().Add(a.life)
	}
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func (a *authority) Sign(_ context.Context, request []byte) (*subresourcesv1.NodeCertificateStatus, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.err != nil {
		return nil, a.err
	}
	block, _ := pem.Decode(request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, err
	}
	cert := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: a.name}, DNSNames: []string{a.name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, csr.PublicKey)
	return &subresourcesv1.NodeCertificateStatus{Certificate: pemOf(cert), CABundle: pemOf(a.cert), RenewAfter: metav1.NewTime(a.clock.Now().Add(a.life / 2)), NotAfter: metav1.NewTime(cert.NotAfter)}, nil
}

func (a *authority) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func (a *authority) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

// client gives a certificate of the authority for that common name.
func (a *authority) client(name string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func run(t *testing.T, s *Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(waitFor); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting until %s", what)
		}
	}
}

func TestOnlyAPIMayTalkToTheAgent(t *testing.T) {
	a := newAuthority(t)
	s := New("node1", a, a.clock)
	if err := s.Ready(); err == nil {
		t.Error("ready without a certificate")
	}
	run(t, s)
	await(t, "there is a certificate", func() bool { return s.Ready() == nil })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }), ReadHeaderTimeout: waitFor}
	go func() { _ = server.Serve(tls.NewListener(listener, s.TLS())) }()
	t.Cleanup(func() { _ = server.Close() })

	stranger := newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	get := func(certs []tls.Certificate, name string) error {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name, Certificates: certs}, DisableKeepAlives: true}
		response, err := (&http.Client{Transport: transport, Timeout: waitFor}).Get("https://" + listener.Addr().String())
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := get([]tls.Certificate{a.client("virt-api")}, "node:node1"); err != nil {
		t.Errorf("virt-api: %v", err)
	}
	for name, certs := range map[string][]tls.Certificate{
		"nobody": nil, "another node": {a.client("node:node2")}, "virt-api of another authority": {stranger.client("virt-api")},
	} {
		if err := get(certs, "node:node1"); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
	if err := get([]tls.Certificate{a.client("virt-api")}, "node:node2"); err == nil {
		t.Error("the agent passed for another node's")
	}
}

func TestRenews(t *testing.T) {
	a := newAuthority(t)
	s := New("node1", a, a.clock)
	run(t, s)
	await(t, "there is a certificate", func() bool { return s.Ready() == nil })
	first, err := s.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the source waits", a.clock.HasWaiters)
	a.clock.Step(refresh)
	await(t, "there is another", func() bool { now, err := s.Certificate(); return err == nil && now != first })
	if now, _ := s.Certificate(); now.PrivateKey.(*ecdsa.PrivateKey).Equal(first.PrivateKey) {
		t.Error("the key was used again")
	}

	// virt-api is away: what there is stays in use, and readiness fails before it ends.
	a.fail(errors.New("virt-api is away"))
	await(t, "the source waits", a.clock.HasWaiters)
	asked := a.times()
	a.clock.Step(refresh)
	await(t, "it was asked", func() bool { return a.times() > asked })
	if err := s.Ready(); err != nil {
		t.Errorf("not ready with a good certificate: %v", err)
	}
	a.clock.Step(21 * time.Hour)
	if err := s.Ready(); err == nil || !errors.Is(err, a.err) {
		t.Errorf("ready at the end of the certificate's life: %v", err)
	}
	a.fail(nil)
	await(t, "it is ready again", func() bool { a.clock.Step(time.Minute); return s.Ready() == nil })
}

func TestRefusesWhatIsNotItsOwn(t *testing.T) {
	a := newAuthority(t)
	a.name = "node:node2"
	s := New("node1", a, a.clock)
	if _, err := s.renew(t.Context()); err == nil {
		t.Error("took a certificate of another node")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair(pemOf(a.cert), key); err == nil || err.Error() != "it is for another key" {
		t.Errorf("error %v", err)
	}
	if _, err := pair([]byte("nonsense"), key); err == nil || err.Error() != "it holds no certificate" {
		t.Errorf("error %v", err)
	}
}

func TestAPISigner(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c subresourcesv1.NodeCertificate
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || r.Method != http.MethodPost || r.URL.Path != "/apis/subresources.kubevirt.io/v1/nodecertificates" ||
			r.Header.Get("Content-Type") != "application/json" || string(c.Spec.Request) != "request" || c.Kind != "NodeCertificate" {
			t.Errorf("%s %s %v: %+v, %v", r.Method, r.URL.Path, r.Header, c, err)
		}
		c.Status.Certificate = []byte("signed")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(c)
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"}})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := APISigner{client.CoreV1().RESTClient()}.Sign(t.Context(), []byte("request"))
	if err != nil || string(signed.Certificate) != "signed" {
		t.Errorf("got %+v, %v", signed, err)
	}
}
