package harness

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/virtplane/virtplane/test/cluster/build"
	"github.com/virtplane/virtplane/test/cluster/pki"
)

// Ports of the host cluster's programs, in the test's own namespace.
const (
	etcdPort      = 12379 // the usual ones are for our own store
	etcdPeerPort  = 12380
	apiserverPort = 6443
)

// Host is the cluster that our API server is part of.
type Host struct {
	// Dir holds data, certificates and logs.
	Dir string
	// Admin may do everything.
	Admin *rest.Config
	// Kubectl is the path of the program.
	Kubectl string
	// APIServer is the running kube-apiserver.
	APIServer *Process

	root      string
	programs  programs
	etcd, kcm *Process
	authority *pki.Authority
	ca        pki.Pair
	adminFile string
	// apiFile is the kubeconfig of virt-api.
	apiFile string
}

type programs struct{ kubernetes, etcd string }

// ensurePrograms builds what the machine's cache does not have.
func ensurePrograms(ctx context.Context, root string, log io.Writer) (programs, error) {
	dir, err := build.DefaultDir()
	if err != nil {
		return programs{}, err
	}
	cache := build.Cache{Dir: dir, Programs: filepath.Join(root, "test", "cluster", "programs")}
	var p programs
	for _, m := range build.Modules {
		var into *string
		switch m.Name {
		case "kubernetes":
			into = &p.kubernetes
		case "etcd":
			into = &p.etcd
		default:
			continue
		}
		r, err := cache.Build(ctx, m, log)
		if err != nil {
			return p, err
		}
		*into = r.Dir
	}
	return p, nil
}

// Option changes how the host cluster runs.
type Option func(*settings)

type settings struct{ fsync bool }

// Durable has the host's etcd wait for the disk with each write, as benches want it. Tests have nothing to lose.
func Durable(s *settings) { s.fsync = true }

func startHost(root, dir string, p programs, options []Option) (_ *Host, err error) {
	var s settings
	for _, o := range options {
		o(&s)
	}
	h := &Host{Dir: dir, root: root, programs: p, Kubectl: filepath.Join(p.kubernetes, "kubectl")}
	defer func() {
		if err != nil {
			h.Stop()
		}
	}()
	if err := h.writeFiles(); err != nil {
		return nil, err
	}
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", etcdPort)
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", etcdPeerPort)
	h.etcd, err = startProcess(dir, "etcd", filepath.Join(p.etcd, "etcd"), []string{
		"--name=host", "--data-dir=" + filepath.Join(dir, "etcd"), fmt.Sprintf("--unsafe-no-fsync=%t", !s.fsync), "--log-level=warn",
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL, "--initial-cluster=host=" + peerURL,
	}, nil)
	if err != nil {
		return nil, err
	}
	h.APIServer, err = startProcess(dir, "kube-apiserver", filepath.Join(p.kubernetes, "kube-apiserver"), []string{
		"--etcd-servers=" + etcdURL,
		"--advertise-address=" + Address,
		fmt.Sprintf("--secure-port=%d", apiserverPort),
		"--allow-privileged=true", // as the programs of nodes need it
		"--service-cluster-ip-range=10.96.0.0/24",
		"--authorization-mode=RBAC",
		"--client-ca-file=" + h.pki("ca.crt"),
		"--tls-cert-file=" + h.pki("apiserver.crt"),
		"--tls-private-key-file=" + h.pki("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + h.pki("sa.pub"),
		"--service-account-signing-key-file=" + h.pki("sa.key"),
		"--enable-aggregator-routing=true",
		"--proxy-client-cert-file=" + h.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + h.pki("front-proxy-client.key"),
		"--requestheader-client-ca-file=" + h.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-uid-headers=X-Remote-Uid",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--profiling=false",
	}, nil)
	if err != nil {
		return nil, err
	}
	if err := h.APIServer.wait(time.Minute, "readiness", h.get("/readyz")); err != nil {
		return nil, err
	}
	return h, nil
}

// startControllers starts the controllers of the host. They look at once for everything that is served, and then only now
// and then, so they start last.
func (h *Host) startControllers() (err error) {
	if h.kcm != nil {
		return nil
	}
	h.kcm, err = startProcess(h.Dir, "kube-controller-manager", filepath.Join(h.programs.kubernetes, "kube-controller-manager"), []string{
		"--kubeconfig=" + h.adminFile,
		"--leader-elect=false",
		"--use-service-account-credentials=false",
		"--root-ca-file=" + h.pki("ca.crt"),
		"--service-account-private-key-file=" + h.pki("sa.key"),
		// What depends on the API's kinds: namespaces end, quotas count, owners take their own along.
		"--controllers=namespace-controller,resourcequota-controller,garbage-collector-controller,serviceaccount-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller",
		"--concurrent-gc-syncs=2",
		"--resource-quota-sync-period=5s",
		"--profiling=false",
		"--v=2",
	}, nil)
	return err
}

func (h *Host) pki(file string) string { return filepath.Join(h.Dir, "pki", file) }

func (h *Host) writeFiles() error {
	dir := filepath.Join(h.Dir, "pki")
	var err error
	if h.authority, h.ca, err = pki.NewAuthority("host"); err != nil {
		return err
	}
	front, frontPair, err := pki.NewAuthority("host-front-proxy")
	if err != nil {
		return err
	}
	if err := h.ca.Write(dir, "ca"); err != nil {
		return err
	}
	if err := frontPair.Write(dir, "front-proxy-ca"); err != nil {
		return err
	}
	server, err := h.authority.Sign(pki.Request{Name: "kube-apiserver", Hosts: []string{"localhost", "127.0.0.1", Address, "10.96.0.1", "kubernetes.default.svc"}})
	if err != nil {
		return err
	}
	if err := server.Write(dir, "apiserver"); err != nil {
		return err
	}
	proxy, err := front.Sign(pki.Request{Name: "front-proxy-client"})
	if err != nil {
		return err
	}
	if err := proxy.Write(dir, "front-proxy-client"); err != nil {
		return err
	}
	private, public, err := pki.NewKeyPair()
	if err != nil {
		return err
	}
	for file, b := range map[string][]byte{"sa.key": private, "sa.pub": public} {
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
			return err
		}
	}
	h.adminFile = filepath.Join(h.Dir, "admin.kubeconfig")
	h.Admin, err = h.user(h.adminFile, "admin", "system:masters")
	return err
}

// url is kube-apiserver's address.
func (h *Host) url() string { return fmt.Sprintf("https://%s:%d", Address, apiserverPort) }

// user writes a kubeconfig for a user with a certificate.
func (h *Host) user(file, name string, groups ...string) (*rest.Config, error) {
	pair, err := h.authority.Sign(pki.Request{Name: name, Groups: groups})
	if err != nil {
		return nil, err
	}
	b, err := pki.Kubeconfig("host", h.url(), name, h.ca.Cert, pair)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, err
	}
	c, err := clientcmd.RESTConfigFromKubeConfig(b)
	if err != nil {
		return nil, err
	}
	c.QPS = -1
	return c, nil
}

// User returns the configuration of an ordinary user in these groups.
func (h *Host) User(name string, groups ...string) (*rest.Config, error) {
	return h.user(filepath.Join(h.Dir, name+".kubeconfig"), name, groups...)
}

// get returns a check that a path of kube-apiserver answers 200.
func (h *Host) get(path string) func() error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return func() error {
		resp, err := client.Get(h.url() + path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
			return fmt.Errorf("%s: %s", resp.Status, b)
		}
		return nil
	}
}

// KubectlRun runs kubectl as the administrator and returns what it said.
func (h *Host) KubectlRun(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, h.Kubectl, append([]string{"--kubeconfig=" + h.adminFile}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+h.TempDir("kubectl")) // where it remembers what the cluster served
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Stop ends the host cluster.
func (h *Host) Stop() {
	for _, p := range []*Process{h.kcm, h.APIServer, h.etcd} {
		if p != nil {
			p.Kill()
		}
	}
}
