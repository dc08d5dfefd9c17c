package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/supervise"
	"github.com/virtplane/virtplane/launcher/testguest"
)

// patience bounds each wait of these tests. It is long because emulation on a busy machine is slow.
const patience = 90 * time.Second

var (
	buildOnce sync.Once
	program   string
	buildErr  error
)

// build makes the program as it is shipped, once for all tests.
func build(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"qemu-system-x86_64", "qemu-img", "prlimit"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	buildOnce.Do(func() {
		dir, err := os.MkdirTemp("", "virt-launcher-test-")
		if err != nil {
			buildErr = err
			return
		}
		program = filepath.Join(dir, "virt-launcher")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("%w: %s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return program
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program != "" {
		os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

// pod is what Kubernetes would make for a guest: folders, and the first process.
type pod struct {
	t      *testing.T
	dir    string
	init   *exec.Cmd
	exited chan struct{}
	client api.LauncherClient
}

// newPod starts the first process in a pod whose containerDisk is the guest in one boot sector.
func newPod(t *testing.T) *pod {
	t.Helper()
	return makePod(t, func(p *pod) {
		if err := testguest.Write(p.path("container-disk/root/disk/guest.img")); err != nil {
			t.Fatal(err)
		}
	})
}

// makePod makes a pod's folders, lets prepare fill them, and starts the first process. Around wraps its command line,
// for namespaces of its own and another user.
func makePod(t *testing.T, prepare func(*pod), around ...string) *pod {
	t.Helper()
	binary := build(t)
	dir, err := os.MkdirTemp("", "vl") // short, for the sake of the sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &pod{t: t, dir: dir, exited: make(chan struct{})}
	args := append(around, binary, "init", "--termination-log="+p.path("termination-log"), "--console-log="+p.path("private/console-log.sock"), "--log-level=debug", "--",
		"--name=testvm", "--namespace=default", "--uid=the-uid", "--resolv-conf="+p.path("resolv.conf"))
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "--qemu="+qemu)
	for _, d := range []string{"run", "private", "ephemeral", "container-disk", "kernel-boot", "claim", "secret", "device"} {
		if err := os.Mkdir(p.path(d), 0o755); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+d+"-dir="+p.path(d))
	}
	p.write("resolv.conf", "nameserver 10.96.0.10\nsearch default.svc.cluster.local\n")
	if err := os.MkdirAll(p.path("container-disk/root/disk"), 0o755); err != nil {
		t.Fatal(err)
	}
	prepare(p)
	p.init = exec.Command(args[0], args[1:]...)
	logFile, err := os.Create(p.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer logFile.Close()
	p.init.Stderr = logFile
	if err := p.init.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.init.Wait(); close(p.exited) }()
	t.Cleanup(p.cleanUp)
	client, conn, err := api.NewClient(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.path("run/launcher.sock"))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p.client = client
	p.eventually("the launcher serves", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Info(ctx, &api.InfoRequest{})
		return err == nil
	})
	return p
}

func (p *pod) path(name string) string { return filepath.Join(p.dir, name) }

func (p *pod) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pod) cleanUp() {
	p.init.Process.Kill() // takes QEMU and the launcher along
	<-p.exited
	if p.t.Failed() {
		raw, _ := os.ReadFile(p.path("log"))
		p.t.Logf("log of the pod:\n%s", raw)
	}
}

func (p *pod) eventually(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *pod) context() context.Context {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	p.t.Cleanup(cancel)
	return ctx
}

// sync sends the VMI with a patch of its domain.
func (p *pod) sync(domain string, options *api.SyncOptions) error {
	if options == nil {
		options = &api.SyncOptions{}
	}
	options.Emulation = true
	_, err := p.client.Sync(p.context(), &api.SyncRequest{Vmi: []byte(vmiJSON(domain)), Options: options})
	return err
}

// vmiJSON is a small VMI; members are added to its domain, or to its spec if they begin with "spec:".
func vmiJSON(members string) string {
	domain, spec := members, ""
	if s, ok := strings.CutPrefix(members, "spec:"); ok {
		domain, spec = "", s
	}
	join := func(s string) string {
		if s == "" {
			return ""
		}
		return "," + s
	}
	return `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","metadata":{"name":"testvm","namespace":"default","uid":"the-uid"},
		"spec":{"domain":{"memory":{"guest":"64Mi"},"devices":{"panicDevices":[{"model":"isa"}],"disks":[{"name":"root","disk":{"bus":"virtio"}}]}` + join(domain) + `},
		"volumes":[{"name":"root","containerDisk":{"image":"guest"}}]` + join(spec) + `}}`
}

func (p *pod) mustSync(domain string) {
	p.t.Helper()
	if err := p.sync(domain, nil); err != nil {
		p.t.Fatalf("Sync: %v", err)
	}
}

// watch collects events until ok says that one is the one, or the stream ends.
func (p *pod) watch(what string, ok func(*api.Event) bool) *api.Event {
	p.t.Helper()
	return p.follow(what, ok)()
}

// follow watches events from now on. The result waits for the one that is wanted.
func (p *pod) follow(what string, ok func(*api.Event) bool) func() *api.Event {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	var last *api.Event
	follows, ends := make(chan struct{}), make(chan *api.Event, 1)
	heard := sync.OnceFunc(func() { close(follows) })
	go func() {
		defer close(ends)
		// The stream ends with the watch: an open one would be told of the guest's end in the place of the next watch.
		defer cancel()
		for ctx.Err() == nil {
			stream, err := p.client.Events(ctx, &api.EventsRequest{})
			for err == nil {
				var e *api.Event
				if e, err = stream.Recv(); err == nil {
					last = e
					heard()
					if ok(e) {
						ends <- e
						return
					}
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		heard()
	}()
	<-follows
	return func() *api.Event {
		p.t.Helper()
		e := <-ends
		if e == nil {
			p.t.Fatalf("%s: not within %s, last: %v", what, patience, last)
		}
		return e
	}
}

func (p *pod) await(state api.DomainState, reason string) *api.Event {
	p.t.Helper()
	return p.watch(state.String()+" "+reason, func(e *api.Event) bool { return e.State == state && e.Reason == reason })
}

// serial is a client of the serial console.
type serial struct {
	t    *testing.T
	conn net.Conn
	mu   sync.Mutex
	got  bytes.Buffer
}

func (p *pod) serial() *serial { return p.serialAt("virt-serial0") }

// serialHistory is a client that sees what others have seen before.
func (p *pod) serialHistory() *serial { return p.serialAt("virt-serial0-history") }

func (p *pod) serialAt(socket string) *serial {
	p.t.Helper()
	conn, err := net.Dial("unix", p.path("run/"+socket))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	s := &serial{t: p.t, conn: conn}
	go func() {
		r := bufio.NewReader(conn)
		for {
			b, err := r.ReadByte()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.got.WriteByte(b)
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *serial) say(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, text); err != nil {
		s.t.Fatal(err)
	}
}

// hear waits for a text and forgets all up to it.
func (s *serial) hear(text string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s.mu.Lock()
		at := bytes.Index(s.got.Bytes(), []byte(text))
		if at >= 0 {
			s.got.Next(at + len(text))
		}
		rest := s.got.String()
		s.mu.Unlock()
		if at >= 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the guest did not say %q within %s, but %q", text, patience, rest)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ping has the guest echo until it does: what was sent before it listened is lost.
func (s *serial) ping() {
	s.t.Helper()
	s.say("x")
	s.hear("x")
}

// launcherPID is the process id of the launcher.
func (p *pod) launcherPID() int {
	for _, child := range children(p.init.Process.Pid) {
		raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		if bytes.HasPrefix(raw, []byte("virt-launcher\x00run")) {
			return child
		}
	}
	return 0
}

// children lists the processes that any thread of a process has started.
func children(pid int) []int {
	var out []int
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		raw, _ := os.ReadFile(list)
		for _, f := range strings.Fields(string(raw)) {
			if n, err := strconv.Atoi(f); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// strike kills the launcher and gives its process id. A launcher that is just being started is waited for: the number 0
// would stand for the test's own process group.
func (p *pod) strike() int {
	p.t.Helper()
	pid := 0
	p.eventually("there is a launcher", func() bool {
		pid = p.launcherPID()
		return pid > 1
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// qemuPID is the process id of the QEMU that runs.
func (p *pod) qemuPID() int {
	p.t.Helper()
	pid := int(p.await(stateRunning, "").QemuPid)
	if pid <= 1 {
		p.t.Fatalf("QEMU has process id %d", pid)
	}
	return pid
}

// threads reads what the kernel says of each thread of a process.
func (p *pod) threads(pid int) []map[string]string {
	p.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		p.t.Fatalf("process %d has no threads: %v", pid, err)
	}
	var out []map[string]string
	for _, file := range files {
		out = append(out, readStatus(file))
	}
	return out
}

// readStatus reads a status file of /proc; one that is gone is empty.
func readStatus(file string) map[string]string {
	out := map[string]string{}
	raw, err := os.ReadFile(file)
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(raw)) {
		key, value, _ := strings.Cut(line, ":")
		out[key] = strings.TrimSpace(value)
	}
	return out
}

// children names the processes that the pod's first process has started.
func (p *pod) children() []string {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.init.Process.Pid))
	var out []string
	for _, list := range lists {
		raw, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, pid := range strings.Fields(string(raw)) {
			out = append(out, readStatus("/proc/" + pid + "/status")["Name"])
		}
	}
	return out
}

// killLauncher kills the launcher and waits for the next one to serve.
func (p *pod) killLauncher() {
	p.t.Helper()
	old := p.strike()
	p.eventually("the launcher lives again", func() bool {
		now := p.launcherPID()
		if now == 0 || now == old {
			return false
		}
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		_, err := p.client.Info(ctx, &api.InfoRequest{})
		return err == nil
	})
}

// ended waits for the pod's end and gives its exit code and termination message.
func (p *pod) ended() (int, supervise.Termination) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("the pod did not end within %s", patience)
	}
	var got supervise.Termination
	raw, err := os.ReadFile(p.path("termination-log"))
	if err == nil {
		err = json.Unmarshal(raw, &got)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return p.init.ProcessState.ExitCode(), got
}

// expectEnd wants an end with a reason.
func (p *pod) expectEnd(code int, reason string) supervise.Termination {
	p.t.Helper()
	got, message := p.ended()
	if got != code || message.Reason != reason {
		p.t.Errorf("the pod ended with %d and %+v, want %d and reason %s", got, message, code, reason)
	}
	return message
}
