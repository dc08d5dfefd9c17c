package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/virtplane/virtplane/cni-plugin/bridge"
)

const waitFor = 10 * time.Second

// programs is where TestMain puts the plugins that these tests execute.
var programs string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "bridge-cni-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a directory for the plugins:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, pkg := range map[string]string{
		"bridge-cni": "github.com/virtplane/virtplane/cmd/bridge-cni",
		"host-local": "github.com/containernetworking/plugins/plugins/ipam/host-local",
	} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n%s", pkg, err, out)
			return 1
		}
	}
	programs = dir
	// The test helpers of the plugin library hand PATH on as CNI_PATH.
	_ = os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return m.Run()
}

// node is a network namespace that plays a node, with the state of its IPAM plugin.
type node struct {
	t       *testing.T
	ns      ns.NetNS
	dataDir string
	plugin  *bridge.Plugin
}

func newNode(t *testing.T) *node {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	n := &node{t: t, ns: newNamespace(t), dataDir: t.TempDir(), plugin: &bridge.Plugin{Log: slog.New(slog.DiscardHandler)}}
	return n
}

func newNamespace(t *testing.T) ns.NetNS {
	t.Helper()
	made, err := testutils.NewNS()
	if err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() {
		_ = made.Close()
		_ = testutils.UnmountNS(made)
	})
	return made
}

// do runs f on a thread inside the node's namespace.
func (n *node) do(f func() error) {
	n.t.Helper()
	in(n.t, n.ns, f)
}

func in(t *testing.T, where ns.NetNS, f func() error) {
	t.Helper()
	if err := where.Do(func(ns.NetNS) error { return f() }); err != nil {
		t.Fatal(err)
	}
}

// conf is a network configuration as a map, so that each test can change what it is about.
type conf map[string]any

func (n *node) conf(version string, changes conf) []byte {
	n.t.Helper()
	c := conf{
		"cniVersion": version,
		"name":       "testnet",
		"type":       "bridge-cni",
		"bridge":     "br-test",
		"ipam": conf{
			"type":    "host-local",
			"dataDir": n.dataDir,
			"ranges":  [][]conf{{{"subnet": "10.77.1.0/24"}}, {{"subnet": "fd77:1::/64"}}},
		},
	}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	data, err := json.Marshal(c)
	if err != nil {
		n.t.Fatal(err)
	}
	return data
}

func v4only(n *node) conf {
	return conf{"type": "host-local", "dataDir": n.dataDir, "ranges": [][]conf{{{"subnet": "10.77.1.0/24"}}}}
}

type pod struct {
	ns  ns.NetNS
	id  string
	ips []netip.Prefix
	res *current.Result
	out []byte
}

// add runs ADD for a fresh pod.
func (n *node) add(id string, data []byte) *pod {
	n.t.Helper()
	p := &pod{ns: newNamespace(n.t), id: id}
	if err := n.tryAdd(p, data); err != nil {
		n.t.Fatalf("ADD %s: %v", id, err)
	}
	return p
}

func (n *node) tryAdd(p *pod, data []byte) error {
	n.t.Helper()
	args := &skel.CmdArgs{ContainerID: p.id, Netns: p.ns.Path(), IfName: "eth0", StdinData: data}
	return n.ns.Do(func(ns.NetNS) error {
		raw, out, err := testutils.CmdAddWithArgs(args, func() error { return n.plugin.Add(context.Background(), args) })
		if err != nil {
			return err
		}
		if p.res, err = current.NewResultFromResult(raw); err != nil {
			return err
		}
		p.out, p.ips = out, nil
		for _, address := range p.res.IPs {
			ones, _ := address.Address.Mask.Size()
			addr, _ := netip.AddrFromSlice(address.Address.IP)
			p.ips = append(p.ips, netip.PrefixFrom(addr.Unmap(), ones))
		}
		return nil
	})
}

func (n *node) del(p *pod, data []byte) error {
	args := &skel.CmdArgs{ContainerID: p.id, Netns: p.ns.Path(), IfName: "eth0", StdinData: data}
	return n.ns.Do(func(ns.NetNS) error {
		return testutils.CmdDelWithArgs(args, func() error { return n.plugin.Del(context.Background(), args) })
	})
}

func (n *node) check(p *pod, data []byte) error {
	args := &skel.CmdArgs{ContainerID: p.id, Netns: p.ns.Path(), IfName: "eth0", StdinData: data}
	return n.ns.Do(func(ns.NetNS) error {
		return testutils.CmdCheckWithArgs(args, func() error { return n.plugin.Check(context.Background(), args) })
	})
}

// withResult puts the result of an ADD into the configuration, as runtimes do for CHECK and DEL.
func withResult(t *testing.T, data, result []byte) []byte {
	t.Helper()
	var c map[string]json.RawMessage
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	c["prevResult"] = result
	merged, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

func (n *node) leases() []string {
	n.t.Helper()
	var found []string
	entries, err := os.ReadDir(filepath.Join(n.dataDir, "testnet"))
	if err != nil && !os.IsNotExist(err) {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.ContainsAny(e.Name()[:1], "123456789f") {
			found = append(found, e.Name())
		}
	}
	return found
}

// ping sends echo requests from one namespace until one is answered.
func ping(t *testing.T, from ns.NetNS, to netip.Addr) error {
	t.Helper()
	network, proto := "ip4:icmp", 1
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	listen := "0.0.0.0"
	if to.Is6() {
		network, proto, listen = "ip6:ipv6-icmp", 58, "::"
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	return from.Do(func(ns.NetNS) error {
		conn, err := icmp.ListenPacket(network, listen)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		buf := make([]byte, 1500)
		end := time.Now().Add(waitFor)
		for seq := 1; time.Now().Before(end); seq++ {
			message := icmp.Message{Type: request, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: seq, Data: []byte("bridge")}}
			data, err := message.Marshal(nil)
			if err != nil {
				return err
			}
			if _, err := conn.WriteTo(data, &net.IPAddr{IP: to.AsSlice()}); err != nil {
				return fmt.Errorf("pinging %s: %w", to, err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			for {
				count, peer, err := conn.ReadFrom(buf)
				if err != nil {
					break
				}
				answer, err := icmp.ParseMessage(proto, buf[:count])
				if err == nil && answer.Type == reply && peer.String() == to.String() {
					return nil
				}
			}
		}
		return fmt.Errorf("waiting for an echo reply of %s: none within %s", to, waitFor)
	})
}

// seenAs connects from one namespace to a listener in another and returns the address that the listener saw.
func seenAs(t *testing.T, client, server ns.NetNS, at netip.Addr) string {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var listener net.Listener
	in(t, server, func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort(at.String(), "0"))
		return err
	})
	defer func() { _ = listener.Close() }()
	in(t, client, func() error {
		conn, err := net.DialTimeout("tcp", listener.Addr().String(), waitFor)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(waitFor))
	conn, err := listener.Accept()
	if err != nil {
		t.Fatalf("waiting for the connection: %v", err)
	}
	defer func() { _ = conn.Close() }()
	return conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().String()
}
