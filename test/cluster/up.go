package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/build"
	"github.com/virtplane/virtplane/test/cluster/cgroup"
	"github.com/virtplane/virtplane/test/cluster/controlplane"
	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/node"
	"github.com/virtplane/virtplane/test/cluster/pki"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/cluster/progress"
)

// UpOptions are what a user may choose.
type UpOptions struct {
	Nodes int
	// Port of 127.0.0.1 at which the host reaches kube-apiserver; 0 takes a free one.
	Port int
}

// storeDiskSize is the size of a node's disk for volumes and stores. It is a sparse file: it takes what is
// written.
const storeDiskSize = 64 << 30

// Up brings the cluster up. One that is up already is left alone; what is left of one that died is removed first.
func (c *Cluster) Up(ctx context.Context, o UpOptions) error {
	nodes, err := plan.Nodes(o.Nodes)
	if err != nil {
		return err
	}
	if err := c.preflight(); err != nil {
		return err
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s, _, err := c.running()
	if err == nil {
		if s.Nodes != o.Nodes {
			return fmt.Errorf("the cluster is up with %d nodes, not %d: run `make cluster-down` first", s.Nodes, o.Nodes)
		}
		c.Print.Line("The cluster is up already, since %s.", s.Started.Format(time.TimeOnly))
		c.printUse()
		return nil
	}
	started := time.Now()
	if err := c.clean(ctx); err != nil {
		return err
	}
	u := &upRun{Cluster: c, options: o, nodes: nodes}
	if err := u.run(ctx); err != nil {
		var withLog *progress.LogError
		if errors.As(err, &withLog) {
			c.Print.Tail(withLog.Log)
		}
		c.Print.Line("  all logs: %s\n  what was started still runs; `make cluster-down` removes it", c.Dir.Logs())
		return err
	}
	c.Print.Line("The cluster is up after %.0f s.", time.Since(started).Seconds())
	c.printUse()
	return nil
}

func (c *Cluster) printUse() {
	c.Print.Line("  export KUBECONFIG=%s PATH=%s:$PATH", c.Dir.Kubeconfig(), c.Dir.Bin())
}

// clean removes what a cluster that died has left.
func (c *Cluster) clean(ctx context.Context) error {
	if _, err := os.Stat(string(c.Dir)); err != nil {
		// The folder may have been removed under a running cluster.
		_, err := c.remove(ctx)
		return err
	}
	return c.Print.Step("removed what an earlier cluster left", func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, downTimeout)
		defer cancel()
		_, err := c.remove(ctx)
		return "", err
	})
}

// needed are the host's programs, with Debian's package of each.
var needed = map[string]string{
	"go": "", "ip": "iproute2", "mount": "mount", "nft": "nftables", "nsenter": "util-linux", "runc": "runc", "sysctl": "procps",
}

func (c *Cluster) preflight() error {
	if os.Geteuid() != 0 {
		return errors.New("the cluster makes namespaces and mounts: run it as root")
	}
	var missing, packages []string
	for program, pkg := range needed {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
			packages = append(packages, pkg)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs are missing: %s: run `hack/deps.sh`, or apt-get install %s",
			strings.Join(missing, ", "), strings.TrimSpace(strings.Join(packages, " ")))
	}
	return checkFileSystem(filepath.Dir(string(c.Dir)))
}

// checkFileSystem refuses a file system on which containerd could not stack the layers of images.
func checkFileSystem(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("folder of the cluster: %s: %w", dir, err)
	}
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return fmt.Errorf("%s lies on an overlay file system, which images cannot be unpacked to: use --dir with a folder on a disk, or mount a volume there", dir)
	}
	return nil
}

// upRun is one run of Up.
type upRun struct {
	*Cluster
	options  UpOptions
	nodes    []plan.Node
	programs map[string]build.Result
	archives []string
	ca       *controlplane.Authorities
	listener *net.TCPListener
	control  machine.Record
	records  []machine.Record
}

func (u *upRun) run(ctx context.Context) error {
	for _, dir := range []string{u.Dir.Run(), u.Dir.Bin(), u.Dir.CNIBin(), u.Dir.Logs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"foreign programs", u.buildPrograms},
		{"own programs", u.buildOwn},
		{"certificates and files", u.writeFiles},
		{"huge pages reserved", u.reserveHugePages},
		{"machines and their network", u.startMachines},
		{"registry holds the cluster's images", u.pushImages},
		{"etcd ready", u.waitEtcd},
		{"images in every node", u.loadImages},
		{"kube-apiserver ready", u.waitAPI},
		{"nodes registered", u.registerNodes},
		{"DNS installed", u.installDNS},
		{"nodes ready", u.waitNodes},
		{"DNS ready", u.waitDNS},
	} {
		if err := u.Print.Step(s.name, func() (string, error) { return s.do(ctx) }); err != nil {
			return err
		}
	}
	return u.writeState(state{Nodes: len(u.nodes), Port: u.port(), Started: time.Now()})
}

func (u *upRun) port() int { return u.listener.Addr().(*net.TCPAddr).Port }

// buildOwn puts this command, which runs inside of the machines, and the plugin of the pod network into the
// cluster's folder.
func (u *upRun) buildOwn(ctx context.Context) (string, error) {
	if err := copyProgram(u.Program, filepath.Join(u.Dir.Bin(), "cluster")); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(u.Dir.CNIBin(), node.Bridge), "./cmd/"+node.Bridge)
	cmd.Dir = u.Checkout
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", node.Bridge, err, strings.TrimSpace(string(out)))
	}
	var err error
	u.archives, err = u.ownImages(u.programs)
	return "", err
}

func (u *upRun) writeFiles(context.Context) (string, error) {
	var err error
	if u.ca, err = controlplane.NewAuthorities(); err != nil {
		return "", err
	}
	u.listener, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: u.options.Port})
	if err != nil {
		return "", fmt.Errorf("port of kube-apiserver on the host: %w", err)
	}
	hosts := map[string]string{plan.RegistryHost: plan.ControlPlaneIP, plan.ControlPlane: plan.ControlPlaneIP}
	for _, n := range u.nodes {
		hosts[n.Name] = n.IP
	}
	for _, name := range machineNames(len(u.nodes)) {
		if err := os.MkdirAll(u.Dir.MachineLogs(name), 0o755); err != nil {
			return "", err
		}
		base := machine.Base{Name: name, Hosts: hosts, Nameserver: plan.DNSIP}
		if err := machine.WriteBase(u.Dir.Root(name), base); err != nil {
			return "", err
		}
	}
	if err := controlplane.WriteFiles(u.Dir.Root(plan.ControlPlane), u.ca); err != nil {
		return "", err
	}
	for _, n := range u.nodes {
		s, err := u.settings(n)
		if err != nil {
			return "", err
		}
		root := u.Dir.Root(n.Name)
		if err := node.WriteFiles(root, s, u.ca.Cluster, u.ca.ClusterPair.Cert); err != nil {
			return "", err
		}
		// Copies, for an installer may write over them.
		plugins, err := os.ReadDir(u.Dir.CNIBin())
		if err != nil {
			return "", err
		}
		for _, p := range plugins {
			if err := copyProgram(filepath.Join(u.Dir.CNIBin(), p.Name()), filepath.Join(root, node.CNIBin, p.Name())); err != nil {
				return "", err
			}
		}
	}
	admin, err := u.ca.Cluster.Sign(pki.Request{Name: "admin", Groups: []string{"system:masters"}})
	if err != nil {
		return "", err
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", u.port())
	config, err := pki.Kubeconfig("virtplane-local", server, "admin", u.ca.ClusterPair.Cert, admin)
	if err != nil {
		return "", err
	}
	return "kube-apiserver at " + server, os.WriteFile(u.Dir.Kubeconfig(), config, 0o600)
}

func (u *upRun) settings(n plan.Node) (node.Settings, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return node.Settings{}, fmt.Errorf("reading the host's memory: %w", err)
	}
	total := int64(info.Totalram) * int64(info.Unit)
	return node.Settings{
		Node:           n,
		Cgroup:         u.Dir.MachineCgroup(n.Name),
		ReservedMemory: total - total/int64(len(u.nodes)),
	}, nil
}

func (u *upRun) startMachines(ctx context.Context) (string, error) {
	if err := loadBridgeFilter(ctx); err != nil {
		return "", err
	}
	file, err := u.listener.File()
	if err != nil {
		return "", err
	}
	defer file.Close()
	var processes []*machine.Process
	for _, name := range machineNames(len(u.nodes)) {
		o := machine.Options{
			Name:       name,
			Program:    filepath.Join(u.Dir.Bin(), "cluster"),
			RecordFile: u.Dir.Record(name),
			Log:        u.Dir.Log(name, "machine"),
		}
		if name == plan.ControlPlane {
			o.Listener = file
		}
		p, err := machine.Start(o)
		if err != nil {
			return "", err
		}
		processes = append(processes, p)
	}
	u.control = processes[0].Record
	for _, p := range processes[1:] {
		u.records = append(u.records, p.Record)
	}
	if err := connect(ctx, u.control, u.nodes, u.records); err != nil {
		return "", err
	}
	for i, p := range processes {
		spec := u.spec(p.Name)
		if i == 0 {
			spec.Services = controlplane.Services()
		} else {
			s, err := u.settings(u.nodes[i-1])
			if err != nil {
				return "", err
			}
			spec.Services = node.Services(s)
			spec.Sysctls = node.Sysctls()
			spec.Disk = &machine.Disk{Image: u.Dir.StoreDisk(p.Name), Target: node.StoreDir, Size: storeDiskSize}
		}
		if err := cgroup.Create(cgroup.Mounts, spec.Cgroup); err != nil {
			return "", err
		}
		if err := p.Configure(spec); err != nil {
			return "", err
		}
	}
	for _, p := range processes {
		if err := p.WaitReady(); err != nil {
			return "", &progress.LogError{Err: err, Log: u.Dir.Log(p.Name, "machine")}
		}
	}
	return "", nil
}

func (u *upRun) spec(name string) machine.Spec {
	return machine.Spec{
		Name: name,
		Root: u.Dir.Root(name),
		Binds: append(machine.EtcBinds(),
			machine.Bind{Source: u.Dir.Bin(), Target: "/usr/local/bin", ReadOnly: true},
			machine.Bind{Source: u.Dir.MachineLogs(name), Target: "/var/log"},
		),
		// Pods' groups stand beside this one, so that what the machine itself uses is told apart.
		Cgroup: u.Dir.MachineCgroup(name) + "/system",
		LogDir: "/var/log",
	}
}
