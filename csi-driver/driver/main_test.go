package driver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/virtplane/virtplane/csi-driver/driver"
	"github.com/virtplane/virtplane/csi-driver/mount"
	"github.com/virtplane/virtplane/csi-driver/mount/fake"
	"github.com/virtplane/virtplane/csi-driver/pool"
)

const (
	nodeID     = "node-1"
	stopWithin = 20 * time.Second
	inside     = "HOSTPATH_TEST_IN_MOUNT_NAMESPACE"
)

// TestMain gives the tests a mount namespace of their own when they may have one, so that nothing they mount outlives them.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := again.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "running the tests in a mount namespace:", err)
		os.Exit(1)
	}
}

// box is a driver with one pool, served on a socket.
type box struct {
	controller csi.ControllerClient
	node       csi.NodeClient
	identity   csi.IdentityClient
	pools      *pool.Pools
	mounts     driver.Mounts
	pool       string
	kubelet    string
	socket     string
}

func newBox(t *testing.T, more ...pool.Spec) *box {
	t.Helper()
	b := &box{pool: filepath.Join(t.TempDir(), "pool"), kubelet: t.TempDir()}
	// A socket's path may have 107 bytes, which t.TempDir can exceed.
	short, err := os.MkdirTemp("", "csi")
	if err != nil {
		t.Fatal(err)
	}
	b.socket = filepath.Join(short, "csi.sock")
	b.pools, err = pool.New(append([]pool.Spec{{Name: "local", Path: b.pool}}, more...), 100)
	if err != nil {
		t.Fatal(err)
	}
	b.mounts = fake.New()
	if os.Geteuid() == 0 {
		real, err := mount.Open(b.kubelet)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = real.Close() })
		b.mounts = real
	}
	d, err := driver.New(nodeID, "test", b.pools, b.mounts, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	listener, err := driver.Listen(b.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, listener) }()
	conn, err := grpc.NewClient("unix:"+b.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	b.controller, b.node, b.identity = csi.NewControllerClient(conn), csi.NewNodeClient(conn), csi.NewIdentityClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("server: %v", err)
			}
		case <-time.After(stopWithin):
			t.Errorf("waiting for the server to end: it still runs after %s", stopWithin)
		}
		_ = b.pools.Close()
		_ = os.RemoveAll(short)
	})
	return b
}

func mountCapability(mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	}
}

const writer = csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER

func (b *box) create(t *testing.T, name string, size int64) *csi.Volume {
	t.Helper()
	r, err := b.controller.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
		Name:               name,
		CapacityRange:      &csi.CapacityRange{RequiredBytes: size},
		VolumeCapabilities: []*csi.VolumeCapability{mountCapability(writer)},
		Parameters:         map[string]string{driver.ParameterPool: "local"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Volume
}

func (b *box) target(name string) string {
	return filepath.Join(b.kubelet, "pods", name, "volumes/kubernetes.io~csi/pv/mount")
}

func (b *box) publish(t *testing.T, id, target string, mode csi.VolumeCapability_AccessMode_Mode, readOnly bool) error {
	t.Helper()
	_, err := b.node.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{
		VolumeId: id, TargetPath: target, VolumeCapability: mountCapability(mode), Readonly: readOnly,
	})
	return err
}

func (b *box) unpublish(t *testing.T, id, target string) error {
	t.Helper()
	_, err := b.node.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: id, TargetPath: target})
	return err
}
