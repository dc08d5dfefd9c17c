package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

const (
	uid     = types.UID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
	waitFor = 10 * time.Second
)

// node is a kubelet's pods directory; anybody's process counts as the pod's.
func node(t *testing.T) *Pods {
	t.Helper()
	return &Pods{Dir: t.TempDir(), User: uint32(os.Getuid()), Cgroups: func(int, types.UID) error { return nil }}
}

func volume(t *testing.T, p *Pods) string {
	t.Helper()
	dir := filepath.Join(p.Dir, string(uid), "volumes/kubernetes.io~empty-dir/sockets")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	// The launcher sees a shorter path than we do, and a socket's path holds 107 bytes only.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	listener, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func TestDial(t *testing.T) {
	p := node(t)
	listener := listen(t, filepath.Join(volume(t, p), "launcher.sock"))
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			fmt.Fprint(conn, "hello")
			conn.Close()
		}
	}()
	conn, process, err := p.Dial(t.Context(), uid, "launcher.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	defer conn.Close()
	buf := make([]byte, 10)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if process.pid != os.Getpid() {
		t.Errorf("the peer is process %d, not %d", process.pid, os.Getpid())
	}
	if err := process.Alive(); err != nil {
		t.Error(err)
	}
	file, err := process.NetworkNamespace()
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
}

func TestDialRefuses(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		uid   types.UID
		build func(t *testing.T, p *Pods)
		want  error
	}{
		{name: "no pod", build: func(*testing.T, *Pods) {}, want: ErrNotThere},
		{name: "no socket", build: func(t *testing.T, p *Pods) { volume(t, p) }, want: ErrNotThere},
		{name: "nobody listens", want: ErrNotListening, build: func(t *testing.T, p *Pods) {
			listener := listen(t, filepath.Join(volume(t, p), "launcher.sock")).(*net.UnixListener)
			listener.SetUnlinkOnClose(false)
			must(t, listener.Close())
		}},
		{name: "link to a socket elsewhere", want: ErrUntrusted, build: func(t *testing.T, p *Pods) {
			listen(t, filepath.Join(p.Dir, "host.sock"))
			must(t, os.Symlink(filepath.Join(p.Dir, "host.sock"), filepath.Join(volume(t, p), "launcher.sock")))
		}},
		{name: "linked directory", want: ErrUntrusted, build: func(t *testing.T, p *Pods) {
			dir := volume(t, p)
			must(t, os.Mkdir(filepath.Join(p.Dir, "host"), 0o755))
			listen(t, filepath.Join(p.Dir, "host/launcher.sock"))
			must(t, os.Remove(dir))
			must(t, os.Symlink(filepath.Join(p.Dir, "host"), dir))
		}},
		{name: "no socket but a file", want: ErrUntrusted, build: func(t *testing.T, p *Pods) {
			must(t, os.WriteFile(filepath.Join(volume(t, p), "launcher.sock"), nil, 0o600))
		}},
		{name: "another user", want: ErrUntrusted, build: func(t *testing.T, p *Pods) {
			listen(t, filepath.Join(volume(t, p), "launcher.sock"))
			p.User++
		}},
		{name: "another pod", want: ErrUntrusted, build: func(t *testing.T, p *Pods) {
			listen(t, filepath.Join(volume(t, p), "launcher.sock"))
			p.Cgroups = InPod
		}},
		{name: "way out", uid: "../../../../etc", build: func(*testing.T, *Pods) {}, want: ErrUntrusted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := node(t)
			tc.build(t, p)
			if tc.uid == "" {
				tc.uid = uid
			}
			conn, _, err := p.Dial(t.Context(), tc.uid, "launcher.sock")
			if err == nil {
				conn.Close()
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

func TestInPod(t *testing.T) {
	for _, tc := range []struct {
		name, cgroups string
		want          bool
	}{
		{"cgroupfs", "0::/kubepods/burstable/pod3f2504e0-4f89-41d3-9a0c-0305e82c3301/abc\n", true},
		{"cgroupfs below a node's own root", "5:devices:/node-1/kubepods/pod3f2504e0-4f89-41d3-9a0c-0305e82c3301/abc\n0::/\n", true},
		{"systemd", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod3f2504e0_4f89_41d3_9a0c_0305e82c3301.slice/cri-containerd-abc.scope\n", true},
		{"systemd guaranteed", "0::/kubepods.slice/kubepods-pod3f2504e0_4f89_41d3_9a0c_0305e82c3301.slice/cri-containerd-abc.scope\n", true},
		{"seen from a container's own cgroup namespace", "0::/../../pod3f2504e0-4f89-41d3-9a0c-0305e82c3301/abc\n", true},
		{"another pod", "0::/kubepods/pod3f2504e0-4f89-41d3-9a0c-0305e82c3302/abc\n", false},
		{"a name that only contains it", "0::/system.slice/xpod3f2504e0-4f89-41d3-9a0c-0305e82c3301x/abc\n", false},
		{"host", "0::/system.slice/containerd.service\n", false},
		{"nothing", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := inPod(tc.cgroups, uid); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func FuzzInPod(f *testing.F) {
	f.Add("0::/kubepods/pod3f2504e0-4f89-41d3-9a0c-0305e82c3301/abc\n")
	f.Add("0::/a\n5:devices:/b:c\n:::")
	f.Fuzz(func(t *testing.T, cgroups string) {
		if inPod(cgroups, uid) && !strings.Contains(cgroups, "pod3f2504e0") {
			t.Error("found what is not there")
		}
	})
}

func TestOwnDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes device nodes")
	}
	root := t.TempDir()
	for _, dir := range []string{"dev", "dev/net"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tun, kvm := unix.Mkdev(10, 200), unix.Mkdev(10, 232)
	node := filepath.Join(root, "dev/net/tun")
	if err := unix.Mknod(node, unix.S_IFCHR|0o400, int(tun)); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 2 {
		if has, err := ownDevice(fd, "net/tun", tun, 107, 107); err != nil || !has {
			t.Fatal(has, err)
		}
	}
	var stat unix.Stat_t
	if err := unix.Stat(node, &stat); err != nil || stat.Uid != 107 || stat.Gid != 107 || stat.Mode&0o777 != 0o600 {
		t.Errorf("owner %d:%d mode %o, %v", stat.Uid, stat.Gid, stat.Mode, err)
	}
	if has, err := ownDevice(fd, "kvm", kvm, 107, 107); err != nil || has {
		t.Errorf("a device that the pod has not: %v, %v", has, err)
	}
	if _, err := ownDevice(fd, "net/tun", kvm, 107, 107); !errors.Is(err, ErrUntrusted) {
		t.Errorf("other numbers: %v", err)
	}
	if err := os.Symlink("net/tun", filepath.Join(root, "dev/kvm")); err != nil {
		t.Fatal(err)
	}
	if _, err := ownDevice(fd, "kvm", kvm, 0, 0); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a link: %v", err)
	}
}

func TestReadBelow(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "secret/..2026"), 0o755),
		os.WriteFile(filepath.Join(root, "secret/..2026/userdata"), []byte("#cloud-config"), 0o600),
		os.Symlink("..2026", filepath.Join(root, "secret/..data")),
		os.Symlink("..data/userdata", filepath.Join(root, "secret/userdata")),
		os.WriteFile(outside, []byte("of the node"), 0o600),
		os.Symlink(outside, filepath.Join(root, "stolen")),
		os.Symlink("../../../../../../../../.."+outside, filepath.Join(root, "climbed")),
		unix.Mkfifo(filepath.Join(root, "pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, tc := range []struct {
		name, want string
		limit      int64
		err        error
	}{
		{name: "/secret/userdata", limit: 13, want: "#cloud-config"},
		{name: "/secret/none", limit: 13, err: fs.ErrNotExist},
		{name: "/stolen", limit: 13, err: fs.ErrNotExist},
		{name: "/climbed", limit: 13, err: fs.ErrNotExist},
		{name: "/pipe", limit: 13, err: ErrUntrusted},
		{name: "/secret", limit: 13, err: ErrUntrusted},
	} {
		got, err := readBelow(fd, tc.name, tc.limit)
		if string(got) != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: %q, %v", tc.name, got, err)
		}
	}
	if _, err := readBelow(fd, "/secret/userdata", 12); err == nil || err.Error() != "/secret/userdata of the pod is larger than 12 bytes" {
		t.Errorf("error %v", err)
	}
}

func TestWatcher(t *testing.T) {
	p := node(t)
	w, err := NewWatcher(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	told := make(chan struct{}, 100)
	if err := w.Add(uid, func() { told <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	dialable := func() bool {
		conn, process, err := p.Dial(t.Context(), uid, "launcher.sock")
		for end := time.Now().Add(time.Second); errors.Is(err, ErrNotListening) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			conn, process, err = p.Dial(t.Context(), uid, "launcher.sock")
		}
		if err == nil {
			conn.Close()
			process.Close()
		}
		return err == nil
	}
	// awaitChange looks at the world only when it is told to, as the agent does.
	awaitChange := func(what string, is func() bool) {
		t.Helper()
		end := time.After(waitFor)
		for !is() {
			select {
			case <-told:
			case <-end:
				t.Fatalf("waiting until %s: nothing was told within %s", what, waitFor)
			}
		}
	}
	listening := make(chan net.Listener, 1)
	go func() {
		dir := filepath.Join(p.Dir, string(uid))
		for _, sub := range []string{"", "volumes", "volumes/kubernetes.io~empty-dir", "volumes/kubernetes.io~empty-dir/sockets"} {
			_ = os.Mkdir(filepath.Join(dir, sub), 0o755)
		}
		listening <- listen(t, filepath.Join(dir, "volumes/kubernetes.io~empty-dir/sockets/launcher.sock"))
	}()
	awaitChange("the socket is there", dialable)
	_ = (<-listening).Close()
	awaitChange("the socket is gone", func() bool { return !dialable() })
	go func() { _ = os.RemoveAll(filepath.Join(p.Dir, string(uid))) }()
	awaitChange("the pod is gone", func() bool {
		_, err := os.Stat(filepath.Join(p.Dir, string(uid)))
		return errors.Is(err, fs.ErrNotExist)
	})
	w.Remove(uid)
	w.Remove(uid)
	if err := w.Add("../x", func() {}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("watching a way out: %v", err)
	}
}
