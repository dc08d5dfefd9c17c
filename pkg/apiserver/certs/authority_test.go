package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes/fake"
	testingclock "k8s.io/utils/clock/testing"
)

var (
	start  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	policy = Policy{Authority: 1000 * time.Hour, Leaf: 10 * time.Hour}
)

func verify(t *testing.T, cert, bundle []byte, host string, usage x509.ExtKeyUsage, now time.Time) error {
	t.Helper()
	c, err := parseCert(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	_, err = c.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: now})
	return err
}

func manager() (*Manager, *testingclock.FakePassiveClock) {
	clock := testingclock.NewFakePassiveClock(start)
	return &Manager{Client: fake.NewClientset(), Namespace: "kubevirt", Service: "virt-api", Policy: policy, Clock: clock}, clock
}

func content(t *testing.T, m *Manager, name string) map[string][]byte {
	t.Helper()
	s, err := m.Client.CoreV1().Secrets("kubevirt").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Data
}

func TestManagerWritesGoodCertificates(t *testing.T) {
	m, _ := manager()
	bundle, err := m.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		secret, key, host string
		usage             x509.ExtKeyUsage
	}{
		{"virt-api-certs", "server.crt", "virt-api.kubevirt.svc", x509.ExtKeyUsageServerAuth},
		{"virt-api-certs", "client.crt", "", x509.ExtKeyUsageClientAuth},
		{"virt-store-certs", "tls.crt", "virt-store-2.virt-store.kubevirt.svc", x509.ExtKeyUsageServerAuth},
		{"virt-store-certs", "tls.crt", "localhost", x509.ExtKeyUsageClientAuth},
	} {
		if err := verify(t, content(t, m, tc.secret)[tc.key], bundle, tc.host, tc.usage, start); err != nil {
			t.Errorf("%s of %s: %v", tc.key, tc.secret, err)
		}
	}
	if err := verify(t, content(t, m, "virt-api-certs")["client.crt"], bundle, "", x509.ExtKeyUsageServerAuth, start); err == nil {
		t.Error("the client's certificate can serve")
	}
}

// Over several lives of the authority, whoever holds a bundle that was handed out in the last half life of a leaf can verify every
// certificate that is in use.
func TestRotationNeverBreaksTrust(t *testing.T) {
	m, clock := manager()
	policy := Policy{Authority: 100 * time.Hour, Leaf: 4 * time.Hour}
	m.Policy = policy
	type handed struct {
		at     time.Time
		bundle []byte
	}
	var bundles []handed
	authorities := map[string]bool{}
	for now := start; now.Before(start.Add(5 * policy.Authority)); now = now.Add(time.Hour) {
		clock.SetTime(now)
		bundle, err := m.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		authorities[string(content(t, m, AuthoritySecret)[keyCert])] = true
		bundles = append(bundles, handed{now, bundle})
		for len(bundles) > 0 && now.Sub(bundles[0].at) > policy.Leaf/2 {
			bundles = bundles[1:]
		}
		for _, b := range bundles {
			if err := verify(t, content(t, m, APISecret)[keyServerCert], b.bundle, "virt-api.kubevirt.svc", x509.ExtKeyUsageServerAuth, now); err != nil {
				t.Fatalf("%v: a client with the bundle of %v: %v", now.Sub(start), b.at.Sub(start), err)
			}
		}
	}
	if n := len(authorities); n < 5 || n > 11 {
		t.Errorf("%d authorities in five lives of one", n)
	}
}

func TestEnsureAuthority(t *testing.T) {
	first, signer, err := ensureAuthority(nil, start, policy)
	if err != nil {
		t.Fatal(err)
	}
	same, _, err := ensureAuthority(first, start.Add(400*time.Hour), policy)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(same[keyBundle], first[keyBundle]) || len(same) != len(first) {
		t.Error("an authority in the first half of its life was changed")
	}
	published, still, err := ensureAuthority(first, start.Add(501*time.Hour), policy)
	if err != nil {
		t.Fatal(err)
	}
	if !still.Cert.Equal(signer.Cert) || published[keyNextCert] == nil || !bytes.Contains(published[keyBundle], published[keyNextCert]) {
		t.Error("the successor must be published, and not sign yet")
	}
	taken, next, err := ensureAuthority(published, start.Add(512*time.Hour), policy)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(next.CertPEM, published[keyNextCert]) || taken[keyNextCert] != nil || !bytes.Contains(taken[keyBundle], first[keyCert]) {
		t.Error("the successor must sign, and its predecessor still be trusted")
	}
	later, _, err := ensureAuthority(taken, start.Add(1001*time.Hour), policy)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(later[keyBundle], first[keyCert]) {
		t.Error("an authority that has ended is still in the bundle")
	}
	damaged := map[string][]byte{keyCert: []byte("x"), keyKey: first[keyKey], keyBundle: first[keyBundle]}
	repaired, _, err := ensureAuthority(damaged, start, policy)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(repaired[keyBundle], first[keyCert]) {
		t.Error("the authority of certificates in use is not trusted any more")
	}
}

func TestEnsureLeafReplaces(t *testing.T) {
	data, signer, err := ensureAuthority(nil, start, policy)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ensureAuthority(nil, start, policy)
	if err != nil {
		t.Fatal(err)
	}
	want := Request{Name: "a", Hosts: []string{"a.svc", "*.a.svc", "127.0.0.1"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	cert, key, err := signer.issue(want, start, policy.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		after   time.Duration
		change  func(r *Request)
		bundle  []byte
		replace bool
	}{
		{name: "young", after: 4 * time.Hour},
		{name: "half of its life is over", after: 6 * time.Hour, replace: true},
		{name: "another name", change: func(r *Request) { r.Name = "b" }, replace: true},
		{name: "another host", change: func(r *Request) { r.Hosts = []string{"b.svc"} }, replace: true},
		{name: "another use", change: func(r *Request) { r.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, replace: true},
		{name: "an authority that is not trusted any more", bundle: other[keyBundle], replace: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, bundle := want, data[keyBundle]
			if tc.change != nil {
				tc.change(&r)
			}
			if tc.bundle != nil {
				bundle = tc.bundle
			}
			got, _, err := ensureLeaf(cert, key, signer, bundle, r, start.Add(tc.after), policy)
			if err != nil {
				t.Fatal(err)
			}
			if replaced := !bytes.Equal(got, cert); replaced != tc.replace {
				t.Errorf("replaced %v, want %v", replaced, tc.replace)
			}
		})
	}
}

// source has what the leader wrote.
func source(t *testing.T) (*Source, *testingclock.FakePassiveClock) {
	t.Helper()
	m, clock := manager()
	if _, err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, err := dynamiccertificates.NewStaticCertKeyContent("first", nil, nil)
	if err == nil {
		t.Fatal("expected an error for an empty certificate")
	}
	s := NewSource(m.Client, "kubevirt", policy, first)
	s.clock = clock
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "waiting for the leader to write Secret kubevirt/virt-api-certs") {
		t.Errorf("check before there is anything: %v", err)
	}
	if _, err := s.SignNode("a", request(t, x509.ECDSA)); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("signing before there is anything: %v", err)
	}
	if err := errors.Join(s.takeAuthority(content(t, m, AuthoritySecret)), s.takeAPI(content(t, m, APISecret))); err != nil {
		t.Fatal(err)
	}
	return s, clock
}

func request(t *testing.T, algorithm x509.PublicKeyAlgorithm) []byte {
	t.Helper()
	var key any
	var err error
	if algorithm == x509.RSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"node:somebody-else", "virt-api"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestSignNode(t *testing.T) {
	s, _ := source(t)
	status, err := s.SignNode("node-a", request(t, x509.ECDSA))
	if err != nil {
		t.Fatal(err)
	}
	for host, good := range map[string]bool{"node:node-a": true, "node:somebody-else": false, "virt-api": false, "node-a": false} {
		if err := verify(t, status.Certificate, status.CABundle, host, x509.ExtKeyUsageServerAuth, start); (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := verify(t, status.Certificate, status.CABundle, "", x509.ExtKeyUsageClientAuth, start); err == nil {
		t.Error("a node can act as a client")
	}
	broken := request(t, x509.ECDSA)
	broken[100] ^= 2
	for name, r := range map[string][]byte{"nothing": nil, "no request": []byte("-----BEGIN X-----\n-----END X-----\n"), "damaged": broken, "RSA": request(t, x509.RSA)} {
		if _, err := s.SignNode("node-a", r); err == nil || !strings.Contains(err.Error(), "spec.request") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestCheckFailsBeforeCertificatesEnd(t *testing.T) {
	s, clock := source(t)
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{
		{time.Hour, ""},
		{8 * time.Hour, ""},
		{9*time.Hour + time.Minute, "the certificate of virt-api ends 2026-11-22T22:00:00Z and was not renewed: see the log of the virt-api that holds Lease kubevirt/virt-api"},
		{11 * time.Hour, "was not renewed"},
	} {
		clock.SetTime(start.Add(tc.after))
		if err := s.Check(); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("after %v: %v", tc.after, err)
		}
	}
}

func FuzzSignNode(f *testing.F) {
	m, _ := manager()
	if _, err := m.Sync(f.Context()); err != nil {
		f.Fatal(err)
	}
	secret, err := m.Client.CoreV1().Secrets("kubevirt").Get(f.Context(), AuthoritySecret, metav1.GetOptions{})
	if err != nil {
		f.Fatal(err)
	}
	s := NewSource(m.Client, "kubevirt", policy, nil)
	if err := s.takeAuthority(secret.Data); err != nil {
		f.Fatal(err)
	}
	s.bundle = secret.Data[keyBundle]
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, r []byte) {
		status, err := s.SignNode("a", r)
		if err == nil && verify(t, status.Certificate, status.CABundle, "node:a", x509.ExtKeyUsageServerAuth, time.Now()) != nil {
			t.Error("signed something useless")
		}
	})
}
