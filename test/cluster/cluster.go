// Package cluster runs a real Kubernetes on one Linux machine for development and tests: a control plane and any
// number of nodes, each in namespaces of its own, from programs built from Go modules.
//
// Everything lies in one folder (the checkout's .cluster) and in namespaces that end with the cluster's
// processes; the host's network, mounts and settings stay as they are. The package knows nothing of what
// is installed into the cluster.
package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/build"
	"github.com/virtplane/virtplane/test/cluster/machine"
	"github.com/virtplane/virtplane/test/cluster/plan"
	"github.com/virtplane/virtplane/test/cluster/progress"
)

// Cluster is a local cluster, running or not.
type Cluster struct {
	// Dir is the folder with everything of the cluster.
	Dir plan.Dir
	// Program is the cluster command; it also runs inside of the machines.
	Program string
	// Checkout is the root of the source tree.
	Checkout string
	// Cache has the foreign programs.
	Cache build.Cache
	// Print takes the steps.
	Print *progress.Printer
}

// DirVariable names the environment's variable with the folder of the cluster that commands and tests use.
const DirVariable = "VIRTPLANE_CLUSTER"

// New gives the cluster of the checkout that the working directory is in. dir is its folder; empty means that of
// DirVariable, or else .cluster of the checkout.
func New(dir string, out io.Writer) (*Cluster, error) {
	checkout, err := findCheckout()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		dir = cmp.Or(os.Getenv(DirVariable), filepath.Join(checkout, ".cluster"))
	}
	// The same folder must have the same name however one came to it.
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(parent, filepath.Base(dir))
	}
	cache, err := build.DefaultDir()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &Cluster{
		Dir:      plan.Dir(dir),
		Program:  program,
		Checkout: checkout,
		Cache:    build.Cache{Dir: cache, Programs: filepath.Join(checkout, "test", "cluster", "programs")},
		Print:    &progress.Printer{Out: out},
	}, nil
}

func findCheckout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "test", "cluster", "programs")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a checkout: change into it, no folder above has test/cluster/programs")
		}
		dir = parent
	}
}

// state is what up leaves for other commands. It is written when the cluster is whole.
type state struct {
	Nodes   int       `json:"nodes"`
	Port    int       `json:"port"`
	Started time.Time `json:"started"`
}

func (c *Cluster) readState() (state, error) {
	var s state
	b, err := os.ReadFile(c.Dir.State())
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("reading %s: %w", c.Dir.State(), err)
	}
	return s, nil
}

func (c *Cluster) writeState(s state) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp := c.Dir.State() + ".tmp"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, c.Dir.State())
}

// errNotUp tells the way out of everything that needs a running cluster.
var errNotUp = errors.New("the cluster is not up: run `make cluster-up`")

// running reads the state of a cluster that is up, with the records of its machines.
func (c *Cluster) running() (state, map[string]machine.Record, error) {
	s, err := c.readState()
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, errNotUp
	}
	if err != nil {
		return s, nil, err
	}
	records := make(map[string]machine.Record)
	for _, name := range machineNames(s.Nodes) {
		r, err := machine.ReadRecord(c.Dir.Record(name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !r.Alive() {
			return s, nil, fmt.Errorf("machine %s has ended: %w", name, errNotUp)
		}
		if err != nil {
			return s, nil, err
		}
		records[name] = r
	}
	return s, records, nil
}

func machineNames(nodes int) []string {
	names := []string{plan.ControlPlane}
	for i := 1; i <= nodes; i++ {
		names = append(names, fmt.Sprintf("node-%d", i))
	}
	return names
}

// lockTimeout is longer than a first up, which builds Kubernetes.
const lockTimeout = 45 * time.Minute

// lock makes up and down wait for each other. The file lies outside of the folder that down removes.
func (c *Cluster) lock(ctx context.Context) (func(), error) {
	dir := filepath.Join(c.Cache.Dir, "locks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "cluster-"+c.Dir.ID()), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	said := false
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		if !said {
			c.Print.Line("• waiting for another up or down of this cluster")
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another up or down of this cluster: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
