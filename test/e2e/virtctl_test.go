package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
)

// commandLimit bounds what virtctl does, on a machine that is busy with other guests.
const commandLimit = 2 * time.Minute

// virtctl runs kubectl virt to its end and returns what it prints.
func virtctl(t *testing.T, ns, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"virt", "-n", ns}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

// background runs kubectl virt until the test ends, and waits for a line of what it says that fits.
func background(t *testing.T, ns, pattern string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("kubectl", append([]string{"virt", "-n", ns}, args...)...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); w.Close() }()
	t.Cleanup(func() {
		// kubectl has replaced itself by the plugin: the process is virtctl.
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("virtctl %s ends with %v on Ctrl+C", args[0], err)
			}
		case <-time.After(commandLimit):
			_ = cmd.Process.Kill()
			t.Errorf("virtctl %s did not end on Ctrl+C within %s", args[0], commandLimit)
		}
	})
	found := make(chan []string, 1)
	go func() {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if groups := regexp.MustCompile(pattern).FindStringSubmatch(lines.Text()); groups != nil {
				select {
				case found <- groups:
				default:
				}
			}
			t.Logf("virtctl %s: %s", args[0], lines.Text())
		}
	}()
	select {
	case groups := <-found:
		return groups
	case <-time.After(commandLimit):
		t.Fatalf("virtctl %s did not say %q within %s", strings.Join(args, " "), pattern, commandLimit)
	}
	return nil
}

// get fetches a path of an HTTP server as a bare client.
func get(addr, path string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, commandLimit)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(commandLimit))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", path); err != nil {
		return "", err
	}
	raw, err := io.ReadAll(conn)
	return string(raw), err
}

// TestVirtctlPorts exposes a tiny guest's web server by a Service and carries its port to this computer.
func TestVirtctlPorts(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	nodes := c.Nodes(t)
	c.Apply(t, ns, harness.Instance{Network: true, Ports: []int{80}}.VM("web", "Always"))
	peer := c.Peer(t, ns, "peer", nodes[0])
	c.WaitVMI(t, ns, "web", "running", harness.BootLimit, harness.Running)
	harness.Shell(t, c.Console(t, ns, "web"))

	t.Run("expose", func(t *testing.T) {
		out, says, err := virtctl(t, ns, "", "expose", "vm", "web", "--name=web", "--port=8080", "--target-port=80", "--type=NodePort")
		if err != nil || out != "Service web successfully exposed for vm web\n" {
			t.Fatalf("printed %q, said %q, %v", out, says, err)
		}
		if out, err := c.Fetch(t, peer, "web", 8080, "/boot-id"); err != nil || !strings.Contains(out, "200 OK") {
			t.Errorf("by the Service: %v\n%s", err, out)
		}
		service, err := c.Kube.CoreV1().Services(ns).Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil || service.Spec.Type != corev1.ServiceTypeNodePort || service.Spec.Ports[0].NodePort == 0 {
			t.Fatalf("Service %+v, %v", service, err)
		}
		spec.Covers(t, "P1-VCTL-14", "P2-VMI-05", "P2-STATE-02")
	})
	t.Run("port-forward", func(t *testing.T) {
		at := background(t, ns, `Forwarding tcp (\S+) to port 80`, "port-forward", "vm/web", ":80")[1]
		for range 3 {
			if out, err := get(at, "/boot-id"); err != nil || !strings.Contains(out, "200 OK") {
				t.Errorf("through the API server: %v\n%s", err, out)
			}
		}
	})
	t.Run("on standard input and output", func(t *testing.T) {
		out, says, err := virtctl(t, ns, "GET /boot-id HTTP/1.0\r\n\r\n", "port-forward", "--stdio=true", "vmi/web/"+ns, "80")
		if err != nil || !strings.Contains(out, "200 OK") {
			t.Errorf("printed %q, said %q, %v", out, says, err)
		}
	})
	t.Run("a machine that is stopped", func(t *testing.T) {
		c.Apply(t, ns, harness.Instance{}.VM("resting", "Halted"))
		_, says, err := virtctl(t, ns, "", "port-forward", "--stdio", "vm/resting", "80")
		if err == nil || !strings.Contains(says, "the machine is not running; start it: kubectl virt start resting") {
			t.Errorf("said %q, %v", says, err)
		}
	})
}

// TestVirtctlVNC shows the screen by a proxy, and takes a picture of it.
func TestVirtctlVNC(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	manifest := strings.ReplaceAll(harness.Instance{Null: true}.VMI("screen"), "autoattachGraphicsDevice: false", "autoattachGraphicsDevice: true")
	c.Apply(t, ns, manifest)
	c.Apply(t, ns, harness.Instance{Null: true}.VMI("blind"))
	c.WaitVMI(t, ns, "screen", "running", harness.BootLimit, harness.Running)
	c.WaitVMI(t, ns, "blind", "running", harness.BootLimit, harness.Running)

	t.Run("proxy", func(t *testing.T) {
		line := background(t, ns, `^\{"port":\d+\}$`, "vnc", "screen", "--proxy-only")[0]
		var printed struct{ Port int }
		if err := json.Unmarshal([]byte(line), &printed); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", printed.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(commandLimit))
		greeting := make([]byte, 12)
		if _, err := io.ReadFull(conn, greeting); err != nil || !strings.HasPrefix(string(greeting), "RFB 003.") {
			t.Errorf("the screen says %q, %v", greeting, err)
		}
		spec.Covers(t, "P1-VCTL-16")
	})
	t.Run("screenshot", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "screen.png")
		// What the firmware writes stays: the guest writes nothing over it.
		eventually(t, "the screen shows the firmware's name", time.Minute, func() (string, bool) {
			if _, says, err := virtctl(t, ns, "", "vnc", "screenshot", "screen", "--file", file); err != nil {
				t.Fatalf("said %q, %v", says, err)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			picture, err := png.Decode(bytes.NewReader(raw))
			if err != nil {
				t.Fatalf("%d bytes are no picture: %v", len(raw), err)
			}
			return picture.Bounds().String(), namesFirmware(picture)
		})
		spec.Covers(t, "P2-VIRTCTL-07")
	})
	t.Run("without a screen", func(t *testing.T) {
		_, says, err := virtctl(t, ns, "", "vnc", "blind", "--proxy-only")
		if err == nil || !strings.Contains(says, "No graphics devices are present.") {
			t.Errorf("said %q, %v", says, err)
		}
	})
}

// namesFirmware says whether a line of a picture of a screen of text begins with "SeaBIOS (", by the shapes of the letters: the
// first is also the seventh, those between are different from each other, and the eighth place is empty.
func namesFirmware(picture image.Image) bool {
	const width, height = 9, 16 // of a letter
	shape := func(column, row int) string {
		var b strings.Builder
		for y := range height {
			for x := range width {
				r, g, bl, _ := picture.At(picture.Bounds().Min.X+column*width+x, picture.Bounds().Min.Y+row*height+y).RGBA()
				if r+g+bl > 0x8000 {
					b.WriteByte('#')
				} else {
					b.WriteByte(' ')
				}
			}
		}
		return b.String()
	}
	empty := strings.Repeat(" ", width*height)
	for row := range picture.Bounds().Dy() / height {
		different := map[string]bool{empty: true}
		for column := range 6 {
			different[shape(column, row)] = true
		}
		if len(different) == 7 && shape(6, row) == shape(0, row) && shape(7, row) == empty && !different[shape(8, row)] {
			return true
		}
	}
	return false
}
