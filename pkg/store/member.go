package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"google.golang.org/grpc"
)

// MemberConfig describes one member of the store.
type MemberConfig struct {
	// Dir holds the member's data; it is made when it is missing.
	Dir string
	// Name tells the members of a cluster apart. Empty means a store of one member that opens no socket at all: it is
	// reached through Member.Client in the same process.
	Name string
	// Peers maps each member's name to its peer URL, this one's included. Unused when Name is empty.
	Peers map[string]string
	// Several is true when there may be more members than this one, now or later.
	Several bool
	// Join is true for a member that enters a cluster that is already running.
	Join bool
	// ListenPeer and ListenClient are the URLs that this member serves on, AdvertiseClient the URL that clients use.
	ListenPeer, ListenClient, AdvertiseClient string
	// TLS serves clients and peers, and demands certificates of the same authority from both. Its files are read again
	// for each connection, so that renewed certificates are used without a restart.
	TLS TLSFiles
	// QuotaBytes limits the size of the database; it takes no more writes beyond it. Zero means DefaultQuotaBytes.
	QuotaBytes int64
}

// A store of one member has a name and a URL too; they are recorded, and never used.
const (
	aloneName = "virt-api"
	alonePeer = "http://localhost:2380"
)

// Common names of the certificates that members take: of each other, and of their client.
const (
	MemberCommonName = "virt-store"
	ClientCommonName = "virt-api"
)

// TLSFiles names the files of a certificate, its key, and the authorities of the other side.
type TLSFiles struct{ Cert, Key, CA string }

// Empty is true when no file is named.
func (t TLSFiles) Empty() bool { return t == TLSFiles{} }

func (t TLSFiles) info() transport.TLSInfo {
	if t.Empty() {
		return transport.TLSInfo{}
	}
	return transport.TLSInfo{CertFile: t.Cert, KeyFile: t.Key, TrustedCAFile: t.CA, ClientCertAuth: true}
}

// DefaultQuotaBytes is room for about a million objects.
const DefaultQuotaBytes = 8 << 30

// maxRequestBytes lets the largest object through that the API accepts (3 MiB of JSON shrink when they are stored).
const maxRequestBytes = 3 << 20

// Member is a running member of the store.
type Member struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	quota  int64
	close  sync.Once

	mu      sync.Mutex
	servers []*grpc.Server
}

// StartMember starts a member and waits until it has a leader to follow, or ctx ends.
func StartMember(ctx context.Context, c MemberConfig) (*Member, error) {
	cfg, err := c.embed()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the store's folder: %w", err)
	}
	m := &Member{quota: cfg.QuotaBackendBytes}
	cfg.ServiceRegister = m.serves
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting a member of the store in %s: %w", c.Dir, err)
	}
	m.etcd, m.client = e, v3client.New(e.Server)
	select {
	case <-e.Server.ReadyNotify():
		return m, nil
	case err := <-e.Err():
		m.Close()
		return nil, fmt.Errorf("member of the store in %s: %w", c.Dir, err)
	case <-e.Server.StopNotify():
		m.Close()
		return nil, errors.New("member of the store stopped while it started")
	case <-ctx.Done():
		m.Close()
		return nil, fmt.Errorf("waiting for the members of the store to elect a leader: %w", context.Cause(ctx))
	}
}

func (c MemberConfig) embed() (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Dir = Folder(c.Dir).dataDir()
	cfg.QuotaBackendBytes = c.QuotaBytes
	if cfg.QuotaBackendBytes == 0 {
		cfg.QuotaBackendBytes = DefaultQuotaBytes
	}
	cfg.MaxRequestBytes = maxRequestBytes
	cfg.SnapshotCount = 10_000
	cfg.MaxLearners = 1 // one member enters at a time: it starts with the list of members that it was added to
	// The API compacts by itself; here only what it leaves behind.
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, "0"
	// Progress marks keep lists from the cache fresh.
	cfg.WatchProgressNotifyInterval = 5 * time.Second
	// On a busy disk these are the rule.
	cfg.WarningApplyDuration, cfg.WarningUnaryRequestDuration = time.Second, 3*time.Second
	cfg.EnableGRPCGateway = false
	// The cluster's id follows from the token: with one that is drawn, no two clusters have the same. Only founders use it.
	cfg.InitialClusterToken = "virtplane-" + uuid.NewString()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger())
	if !c.Several {
		// Nobody to agree with: become the leader at once.
		cfg.TickMs, cfg.ElectionMs = 10, 100
	}

	if c.Name == "" {
		cfg.Name = aloneName
		cfg.ListenPeerUrls, cfg.ListenClientUrls, cfg.AdvertiseClientUrls = nil, nil, nil
		nowhere, err := url.Parse(alonePeer)
		if err != nil {
			return nil, err
		}
		cfg.AdvertisePeerUrls = []url.URL{*nowhere}
		cfg.InitialCluster = aloneName + "=" + alonePeer
		return cfg, nil
	}

	cfg.Name = c.Name
	for _, u := range []struct {
		field, value string
		into         *[]url.URL
	}{
		{"peer listen", c.ListenPeer, &cfg.ListenPeerUrls},
		{"client listen", c.ListenClient, &cfg.ListenClientUrls},
		{"advertised client", c.AdvertiseClient, &cfg.AdvertiseClientUrls},
		{"own peer", c.Peers[c.Name], &cfg.AdvertisePeerUrls},
	} {
		parsed, err := url.Parse(u.value)
		if err != nil || parsed.Host == "" {
			return nil, fmt.Errorf("the %s URL %q of member %q of the store is not a URL with a host", u.field, u.value, c.Name)
		}
		*u.into = []url.URL{*parsed}
	}
	var members []string
	for name, peer := range c.Peers {
		members = append(members, name+"="+peer)
	}
	cfg.InitialCluster = strings.Join(members, ",")
	cfg.ClusterState = embed.ClusterStateFlagNew
	if c.Join {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	// A place of their own for etcd's HTTP pages, which nobody reads: where they share a listener with gRPC, each call
	// goes through net/http's server, which costs more, and watchers starve behind large answers (etcd issue 15402).
	pages := url.URL{Scheme: cfg.ListenClientUrls[0].Scheme, Host: "127.0.0.1:0"}
	cfg.ListenClientHttpUrls = []url.URL{pages}
	if !c.TLS.Empty() {
		cfg.ClientTLSInfo, cfg.PeerTLSInfo = c.TLS.info(), c.TLS.info()
		cfg.ClientTLSInfo.AllowedCNs = []string{ClientCommonName, MemberCommonName}
		cfg.PeerTLSInfo.AllowedCNs = []string{MemberCommonName}
		// The name is checked; the addresses of pods are not in certificates.
		cfg.PeerTLSInfo.SkipClientSANVerify = true
	}
	return cfg, nil
}

// Client talks to this member without a socket. It lives as long as the member.
func (m *Member) Client() *clientv3.Client { return m.client }

// Err tells why the member ended by itself.
func (m *Member) Err() <-chan error { return m.etcd.Err() }

// lastCalls is how long calls may take that run when the member is stopped.
const lastCalls = 500 * time.Millisecond

// serves remembers a server of clients.
func (m *Member) serves(s *grpc.Server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.servers = append(m.servers, s)
}

// hangUp ends what clients have open. Left to itself, etcd takes no new connections and waits for over five seconds until
// watches end, which they do not.
func (m *Member) hangUp() {
	m.mu.Lock()
	servers := m.servers
	m.mu.Unlock()
	for _, s := range servers {
		late := time.AfterFunc(lastCalls, s.Stop)
		s.GracefulStop()
		late.Stop()
	}
}

// Close stops the member. It may be called more than once.
func (m *Member) Close() {
	m.close.Do(func() {
		m.hangUp()
		_ = m.client.Close()
		m.etcd.Close()
	})
}
