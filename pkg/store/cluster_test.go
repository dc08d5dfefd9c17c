package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	certutil "k8s.io/client-go/util/cert"
)

// members runs a cluster on ports of the loopback device.
type members struct {
	t     *testing.T
	peers []Peer
	dirs  []string
	tls   TLSFiles
	known func(context.Context) (bool, error)
	stops []func()
}

func newMembers(t *testing.T, n int) *members {
	m := &members{t: t, tls: certificates(t, "virt-store"), stops: make([]func(), n), known: func(context.Context) (bool, error) { return false, nil }}
	for i := range n {
		m.peers = append(m.peers, Peer{Name: fmt.Sprintf("virt-store-%d", i), PeerURL: freeURL(t), ClientURL: freeURL(t)})
		m.dirs = append(m.dirs, t.TempDir())
	}
	t.Cleanup(func() {
		for i := range m.stops {
			m.stop(i)
		}
	})
	return m
}

func freeURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "https://" + l.Addr().String()
}

func (m *members) start(i int) *Server {
	c := Cluster{Self: m.peers[i], First: i == 0, Founded: m.known, TLS: m.tls}
	for j, p := range m.peers {
		if j != i {
			c.Others = append(c.Others, p)
		}
	}
	s := NewServer(ServeConfig{Folder: Folder(m.dirs[i]), Cluster: c, ListenPeer: c.Self.PeerURL, ListenClient: c.Self.ClientURL})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			m.t.Errorf("%s: %v", c.Self.Name, err)
		}
	})
	m.stops[i] = sync.OnceFunc(func() { cancel(); wg.Wait() })
	return s
}

func (m *members) stop(i int) {
	if m.stops[i] != nil {
		m.stops[i]()
		m.stops[i] = nil
	}
}

func (m *members) client() *clientv3.Client {
	var urls []string
	for _, p := range m.peers {
		urls = append(urls, p.ClientURL)
	}
	return m.dial(urls, m.tls)
}

func (m *members) dial(urls []string, files TLSFiles) *clientv3.Client {
	config, err := files.ClientConfig()
	if err != nil {
		m.t.Fatal(err)
	}
	c, err := Dial(urls, config, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { c.Close() })
	return c
}

// voters lists the voting members that are started.
func (m *members) voters(c *clientv3.Client) []string {
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Second)
	defer cancel()
	list, err := c.MemberList(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	var names []string
	for _, member := range list.Members {
		if !member.IsLearner {
			names = append(names, member.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (m *members) waitVoters(c *clientv3.Client, want string) {
	m.t.Helper()
	waitFor(m.t, "the members "+want, func() bool { return strings.Join(m.voters(c), " ") == want })
}

func TestThreeMembersFormACluster(t *testing.T) {
	m := newMembers(t, 3)
	for i := range 3 {
		m.start(i)
	}
	client := m.client()
	m.waitVoters(client, "virt-store-0 virt-store-1 virt-store-2")
	put(t, client, "/test/x")
	for name, good := range map[string]bool{"virt-api": true, "somebody": false} {
		files := m.tls.signedFor(t, name)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		if _, err := m.dial([]string{m.peers[0].ClientURL}, files).Get(ctx, "/test/x"); (err == nil) != good {
			t.Errorf("a client called %s: error %v", name, err)
		}
		cancel()
	}
	m.known = func(context.Context) (bool, error) { return true, nil }

	// A member that has lost its data joins again, the founder too.
	for _, i := range []int{2, 0} {
		m.stop(i)
		if err := os.RemoveAll(filepath.Join(m.dirs[i], "member-data")); err != nil {
			t.Fatal(err)
		}
		s := m.start(i)
		m.waitVoters(client, "virt-store-0 virt-store-1 virt-store-2")
		waitFor(t, "the member to be ready", func() bool { return s.Ready(t.Context()) == nil })
		if resp, err := client.Get(t.Context(), "/test/x"); err != nil || len(resp.Kvs) != 1 {
			t.Errorf("response %v, error %v", resp, err)
		}
	}
}

func TestFounderWithoutDataFoundsNoSecondCluster(t *testing.T) {
	c := Cluster{
		Self:   Peer{Name: "virt-store-0", PeerURL: "http://127.0.0.1:1", ClientURL: "http://127.0.0.1:1"},
		Others: []Peer{{Name: "virt-store-1", PeerURL: "http://127.0.0.1:1", ClientURL: "http://127.0.0.1:1"}},
		First:  true,
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	c.Founded = func(context.Context) (bool, error) {
		cancel(fmt.Errorf("seen enough"))
		return true, nil
	}
	_, err := c.findPlace(ctx)
	if err == nil || !strings.Contains(err.Error(), "the cluster was founded before and this member has no data") {
		t.Errorf("error %v", err)
	}
}

// certificates makes an authority, and files of a member with this name.
func certificates(t *testing.T, name string) TLSFiles {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "test"}, key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ca.crt"), "CERTIFICATE", ca.Raw)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ca.key"), "EC PRIVATE KEY", der)
	return TLSFiles{CA: filepath.Join(dir, "ca.crt")}.signedFor(t, name)
}

// signedFor makes another certificate of the same authority.
func (f TLSFiles) signedFor(t *testing.T, name string) TLSFiles {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(f.CA, filepath.Join(filepath.Dir(f.CA), "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: pair.Leaf.NotBefore, NotAfter: pair.Leaf.NotAfter,
		DNSNames:    []string{"*.virt-store.kubevirt.svc"}, // that no reverse lookup knows
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1")},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, pair.Leaf, key.Public(), pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := TLSFiles{CA: f.CA, Cert: filepath.Join(filepath.Dir(f.CA), name+".crt"), Key: filepath.Join(filepath.Dir(f.CA), name+".key")}
	write(t, files.Cert, "CERTIFICATE", cert)
	write(t, files.Key, "EC PRIVATE KEY", der)
	return files
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
