package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/cluster/progress"
	"github.com/virtplane/virtplane/test/guest/serial"
)

// bootTimeout is far above what a boot takes on a busy machine.
const bootTimeout = 5 * time.Minute

// need returns the result with this name and builds it if the cache lacks it.
func need(t *testing.T, name string) Result {
	t.Helper()
	for _, program := range []string{"qemu-system-x86_64", "qemu-img", "mmdebstrap", "mcopy", "genisoimage", "flex", "bison", "bc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: run hack/deps.sh", program)
		}
	}
	b, err := New(&progress.Printer{Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	results, err := b.Build(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// machine is a running QEMU.
type machine struct {
	*serial.Console
	qmp  net.Conn
	said chan message
	done chan error
	// ports are the loopback addresses forwarded to the guest's, by guest port.
	ports map[int]string
	start time.Time
}

// boot starts QEMU under emulation with user networking, the given arguments, and the given guest ports
// forwarded from loopback.
func boot(t *testing.T, ports []int, args ...string) *machine {
	t.Helper()
	dir := plainDir(t)
	m := &machine{said: make(chan message, 100), done: make(chan error, 1), ports: make(map[int]string)}
	netdev := "user,id=net0,hostname=from-dhcp"
	for _, p := range ports {
		m.ports[p] = freePort(t)
		netdev += fmt.Sprintf(",hostfwd=tcp:%s-:%d", m.ports[p], p)
	}
	serialSocket, qmpSocket := listen(t, filepath.Join(dir, "serial")), listen(t, filepath.Join(dir, "qmp"))
	args = append([]string{
		"-nodefaults", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=64", "-cpu", "max", "-display", "none",
		"-netdev", netdev,
		"-chardev", "socket,id=serial0,path=" + filepath.Join(dir, "serial"), "-serial", "chardev:serial0",
		"-chardev", "socket,id=qmp0,path=" + filepath.Join(dir, "qmp"), "-mon", "chardev=qmp0,mode=control",
	}, args...)
	cmd := exec.Command("qemu-system-x86_64", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	// A test run that is cut off by its own timeout runs no cleanup.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	m.start = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, stderr.String())
		}
		m.done <- err
		close(m.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-m.done
	})
	m.Console = serial.New(accept(t, serialSocket))
	m.qmp = accept(t, qmpSocket)
	go m.serveQMP()
	return m
}

// plainDir is a temporary folder without a test's name in it, which may hold commas, which QEMU's options may not.
func plainDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "guest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func listen(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func accept(t *testing.T, l *net.UnixListener) net.Conn {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("waiting for QEMU to connect to %s: %v", l.Addr(), err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// message is an answer of QEMU's monitor, which has the command's id, or an event.
type message struct {
	ID     string
	Event  string
	Return any
	Error  any
}

// serveQMP enters command mode and keeps what QEMU says, as long as there is room for it.
func (m *machine) serveQMP() {
	_ = m.command("qmp_capabilities", nil)
	in := json.NewDecoder(m.qmp)
	for {
		var said message
		if in.Decode(&said) != nil {
			return
		}
		select {
		case m.said <- said:
		default:
		}
	}
}

// command sends a command, of which the name is the id.
func (m *machine) command(name string, arguments any) error {
	c := map[string]any{"execute": name, "id": name}
	if arguments != nil {
		c["arguments"] = arguments
	}
	return json.NewEncoder(m.qmp).Encode(c)
}

// hear waits for QEMU to say something that is wanted.
func (m *machine) hear(t *testing.T, what string, wanted func(message) bool) message {
	t.Helper()
	limit := time.After(bootTimeout)
	for {
		select {
		case said := <-m.said:
			if wanted(said) {
				return said
			}
		case <-limit:
			t.Fatalf("QEMU's monitor does not say %s; the console says:\n%s", what, m.Transcript())
		}
	}
}

// ask sends a command and gives the answer.
func (m *machine) ask(t *testing.T, name string, arguments any) any {
	t.Helper()
	if err := m.command(name, arguments); err != nil {
		t.Fatal(err)
	}
	answer := m.hear(t, "an answer to "+name, func(said message) bool { return said.ID == name })
	if answer.Error != nil {
		t.Fatalf("%s: %v", name, answer.Error)
	}
	return answer.Return
}

// powerDown presses the power button and waits for QEMU to end by itself.
func (m *machine) powerDown(t *testing.T) {
	t.Helper()
	if err := m.command("system_powerdown", nil); err != nil {
		t.Fatal(err)
	}
	m.ended(t)
}

func (m *machine) ended(t *testing.T) {
	t.Helper()
	select {
	case err := <-m.done:
		if err != nil {
			t.Errorf("QEMU ended badly: %v", err)
		}
	case <-time.After(bootTimeout):
		t.Fatalf("QEMU did not end; the console says:\n%s", m.Transcript())
	}
}

// took logs a time; no test depends on one.
func (m *machine) took(t *testing.T, what string) {
	t.Logf("%s after %.1f s", what, time.Since(m.start).Seconds())
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get fetches a page of the guest's web server, again until it answers.
func (m *machine) get(ctx context.Context, port int, path string) (string, error) {
	for {
		body, err := fetch(ctx, "http://"+m.ports[port]+path)
		if err == nil {
			return body, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for the guest's port %d: %w, last: %w", port, ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// seed makes a medium with these files, labelled as cloud-init wants it.
func seed(t *testing.T, label string, files map[string]string) string {
	t.Helper()
	dir := plainDir(t)
	for name, content := range files {
		path := filepath.Join(dir, "root", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	iso := filepath.Join(dir, "seed.iso")
	out, err := exec.CommandContext(t.Context(), "genisoimage", "-quiet", "-J", "-R", "-V", label, "-o", iso, filepath.Join(dir, "root")).CombinedOutput()
	if err != nil {
		t.Fatalf("genisoimage: %v\n%s", err, out)
	}
	return iso
}

// overlayOf makes a QCOW2 file that keeps what is written to it over a disk; size is that of the disk unless given.
func overlayOf(t *testing.T, overlay, disk, format string, size ...string) {
	t.Helper()
	args := append([]string{"create", "-q", "-f", "qcow2", "-F", format, "-b", disk, overlay}, size...)
	if out, err := exec.CommandContext(t.Context(), "qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img create: %v\n%s", err, out)
	}
}
