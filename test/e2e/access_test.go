package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/spec"
	"github.com/virtplane/virtplane/test/wire"
)

// accessLimit bounds one exchange with a guest.
const accessLimit = 2 * time.Minute

// refusal is what a stream that is not opened is answered with.
func refusal(t *testing.T, client *wire.Client, path string) (int, string) {
	t.Helper()
	conn, err := client.Stream(t.Context(), path)
	if err == nil {
		conn.Close()
		return http.StatusSwitchingProtocols, ""
	}
	var refused *wire.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("%s: %v", path, err)
	}
	return refused.Code, refused.Status.Message
}

// forward opens a port of a guest. The stream is closed when the test ends.
func forward(t *testing.T, c *harness.Cluster, path string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), accessLimit)
	conn, err := c.Wire.Stream(ctx, path)
	if err != nil {
		cancel()
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { conn.Close(); cancel() })
	return conn
}

// TestPortForward reaches ports of a guest through the API alone.
func TestPortForward(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{Network: true}.VM("web", "Always"))
	c.Apply(t, ns, harness.Instance{}.VM("resting", "Halted"))
	c.Apply(t, ns, harness.Instance{Null: true, Network: true, Ports: []int{80}}.VMI("closed"))
	c.WaitVMI(t, ns, "web", "running", harness.BootLimit, harness.Running)
	console := c.Console(t, ns, "web")
	harness.Shell(t, console)
	bootID := harness.Run(t, console, "cat /proc/sys/kernel/random/boot_id")
	path := func(resource, name, rest string) string {
		return wire.Subresource("v1", ns, resource, name, "portforward/"+rest)
	}

	t.Run("all ways in", func(t *testing.T) {
		for _, p := range []string{
			path("virtualmachineinstances", "web", "80"), path("virtualmachineinstances", "web", "80/tcp"), path("virtualmachines", "web", "80"),
			wire.Subresource("v1alpha3", ns, "virtualmachineinstances", "web", "portforward/80"),
			"/apis/kubevirt.io/v1/namespaces/" + ns + "/virtualmachines/web/portforward/80/tcp",
		} {
			conn := forward(t, c, p)
			fmt.Fprint(conn, "GET /boot-id HTTP/1.0\r\n\r\n")
			got, err := io.ReadAll(conn) // the guest says when it has ended
			if err != nil || !strings.Contains(string(got), "200 OK") || !strings.Contains(string(got), bootID) {
				t.Errorf("%s: %q, %v", p, got, err)
			}
		}
		spec.Covers(t, "P2-SSH-05")
	})
	t.Run("exact in both directions at the same time", func(t *testing.T) {
		conn := forward(t, c, path("virtualmachineinstances", "web", "7777"))
		sent := make([]byte, 4<<20)
		if _, err := rand.Read(sent); err != nil {
			t.Fatal(err)
		}
		go func() {
			for rest := sent; len(rest) > 0; {
				n, err := conn.Write(rest[:min(len(rest), 10_240)])
				if err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(sent))
		if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes came back, %v", n, len(sent), err)
		}
	})
	t.Run("what was sent before the end arrives", func(t *testing.T) {
		// What listens must not read the terminal: it would be stopped with the next command that is typed.
		harness.Run(t, console, `printf '#!/bin/sh\nsha256sum >/tmp/part && mv /tmp/part /tmp/sum\n' >/tmp/take; chmod +x /tmp/take; nc -l -p 9000 -e /tmp/take </dev/null >/dev/null 2>&1 & sleep 1`)
		conn := forward(t, c, path("virtualmachineinstances", "web", "9000"))
		sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		if _, err := conn.Write(sent[:500_000]); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(sent[500_000:]); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		want := fmt.Sprintf("%x", sha256.Sum256(sent))
		if got := harness.Run(t, console, "for i in $(seq 60); do [ -s /tmp/sum ] && break; sleep 0.5; done; cat /tmp/sum"); !strings.HasPrefix(got, want) {
			t.Errorf("the guest has %q, want %s", got, want)
		}
	})
	t.Run("an idle forward lives", func(t *testing.T) {
		conn := forward(t, c, path("virtualmachines", "web", "7777"))
		got := make([]byte, 5)
		read := make(chan error, 1)
		go func() { // who does not read does not answer pings
			_, err := io.ReadFull(conn, got)
			read <- err
		}()
		time.Sleep(90 * time.Second)
		fmt.Fprint(conn, "still")
		if err := <-read; err != nil || string(got) != "still" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		c.WaitVMI(t, ns, "closed", "running", harness.BootLimit, harness.Running)
		for p, want := range map[string]struct {
			code int
			text string
		}{
			path("virtualmachineinstances", "web", "9999"):    {http.StatusServiceUnavailable, "connection refused"},
			path("virtualmachineinstances", "web", "0"):       {http.StatusBadRequest, "must be a number from 1 to 65535"},
			path("virtualmachineinstances", "closed", "7777"): {http.StatusBadRequest, "is not among spec.domain.devices.interfaces[0].ports"},
			path("virtualmachines", "resting", "80"):          {http.StatusConflict, "VMI is not started"},
			path("virtualmachineinstances", "nobody", "80"):   {http.StatusNotFound, "not found"},
		} {
			if code, text := refusal(t, c.Wire, p); code != want.code || !strings.Contains(text, want.text) {
				t.Errorf("%s: %d %q, want %d %q", p, code, text, want.code, want.text)
			}
		}
		if r, err := c.Wire.Do(t.Context(), http.MethodPut, wire.Subresource("v1", ns, "virtualmachineinstances", "web", "pause"), ""); err != nil || r.Code != http.StatusOK {
			t.Fatalf("pausing: %d %s, %v", r.Code, r.Body, err)
		}
		c.WaitVMI(t, ns, "web", "paused", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi != nil && slices.ContainsFunc(vmi.Status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool {
				return c.Type == virtv1.VirtualMachineInstancePaused
			})
		})
		if code, text := refusal(t, c.Wire, path("virtualmachines", "web", "80")); code != http.StatusConflict || !strings.Contains(text, "VMI is paused") {
			t.Errorf("paused: %d %q", code, text)
		}
	})
}

// screenInstance is a guest with a screen.
func screenInstance(name string) string {
	return strings.Replace(harness.Instance{}.VMI(name), "autoattachGraphicsDevice: false", "autoattachGraphicsDevice: true", 1)
}

// handshake speaks RFB until the server has told the size of its screen.
func handshake(conn io.ReadWriter) (width, height uint16, err error) {
	version := make([]byte, 12)
	if _, err := io.ReadFull(conn, version); err != nil || string(version) != "RFB 003.008\n" {
		return 0, 0, fmt.Errorf("the server begins with %q: %w", version, err)
	}
	if _, err := conn.Write(version); err != nil {
		return 0, 0, err
	}
	kinds := make([]byte, 1)
	if _, err := io.ReadFull(conn, kinds); err != nil {
		return 0, 0, err
	}
	kinds = make([]byte, kinds[0])
	if _, err := io.ReadFull(conn, kinds); err != nil || !bytes.Contains(kinds, []byte{1}) {
		return 0, 0, fmt.Errorf("the server offers security types %v: %w", kinds, err)
	}
	if _, err := conn.Write([]byte{1}); err != nil { // none
		return 0, 0, err
	}
	var result uint32
	if err := binary.Read(conn, binary.BigEndian, &result); err != nil || result != 0 {
		return 0, 0, fmt.Errorf("security result %d: %w", result, err)
	}
	if _, err := conn.Write([]byte{1}); err != nil { // shared
		return 0, 0, err
	}
	var init struct {
		Width, Height uint16
		Format        [16]byte
		Name          uint32
	}
	if err := binary.Read(conn, binary.BigEndian, &init); err != nil {
		return 0, 0, err
	}
	_, err = io.CopyN(io.Discard, conn, int64(init.Name))
	return init.Width, init.Height, err
}

// TestScreen looks at a guest's screen as VNC clients do, and takes pictures of it.
func TestScreen(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, screenInstance("screen"))
	c.Apply(t, ns, harness.Instance{Null: true}.VMI("dark"))
	c.WaitVMI(t, ns, "screen", "running", harness.BootLimit, harness.Running)
	vnc := wire.Subresource("v1", ns, "virtualmachineinstances", "screen", "vnc")
	open := func(path string) *websocket.Conn {
		t.Helper()
		conn, err := c.Wire.Socket(t.Context(), path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn
	}
	t.Run("VNC beside the console", func(t *testing.T) {
		console := c.Console(t, ns, "screen")
		harness.Shell(t, console)
		for _, p := range []string{vnc, wire.Subresource("v1alpha3", ns, "virtualmachineinstances", "screen", "vnc"), "/apis/kubevirt.io/v1/namespaces/" + ns + "/virtualmachineinstances/screen/vnc"} {
			conn := forward(t, c, p)
			if w, h, err := handshake(conn); err != nil || w < 320 || h < 200 {
				t.Errorf("%s: a screen of %d by %d, %v", p, w, h, err)
			}
			if got := harness.Run(t, console, "echo both"); got != "both" {
				t.Errorf("the console says %q", got)
			}
			conn.Close()
		}
		spec.Covers(t, "P2-CONSOLE-01", "P2-CONSOLE-04", "P2-CONSOLE-05")
	})
	t.Run("keys that only a keyboard has", func(t *testing.T) {
		g := lookInto(t, c, ns, "screen")
		boot := g.boot(t)
		conn := forward(t, c, vnc)
		if _, _, err := handshake(conn); err != nil {
			t.Fatal(err)
		}
		const control, alt, del = 0xffe3, 0xffe9, 0xffff
		for _, down := range []uint8{1, 0} {
			for _, key := range []uint32{control, alt, del} {
				event := struct {
					Kind, Down uint8
					_          uint16
					Key        uint32
				}{Kind: 4, Down: down, Key: key}
				if err := binary.Write(conn, binary.BigEndian, event); err != nil {
					t.Fatal(err)
				}
			}
		}
		g.rebooted(t, boot)
		spec.Covers(t, "P2-CONSOLE-07")
	})
	t.Run("a new client takes the place of the one before", func(t *testing.T) {
		older := open(vnc)
		if _, _, err := older.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if code, text := refusal(t, c.Wire, vnc+"?preserveSession=true"); code != http.StatusServiceUnavailable || text == "" {
			t.Errorf("a client that leaves others alone: %d %q", code, text)
		}
		newer := open(vnc)
		if _, data, err := newer.Read(t.Context()); err != nil || !strings.HasPrefix(string(data), "RFB") {
			t.Errorf("the newer client reads %q, %v", data, err)
		}
		var closed websocket.CloseError
		ctx, cancel := context.WithTimeout(t.Context(), accessLimit)
		defer cancel()
		if _, _, err := older.Read(ctx); !errors.As(err, &closed) || closed.Code != websocket.StatusGoingAway || !strings.Contains(closed.Reason, "takes your place") {
			t.Errorf("the older client: %v", err)
		}
	})
	t.Run("screenshot", func(t *testing.T) {
		for _, p := range []string{vnc + "/screenshot", vnc + "/screenshot?moveCursor=true", "/apis/kubevirt.io/v1/namespaces/" + ns + "/virtualmachineinstances/screen/vnc/screenshot"} {
			r, err := c.Wire.Do(t.Context(), http.MethodGet, p, "")
			if err != nil || r.Code != http.StatusOK {
				t.Errorf("%s: %d %s, %v", p, r.Code, r.Status.Message, err)
				continue
			}
			if picture, err := png.Decode(bytes.NewReader(r.Body)); err != nil || picture.Bounds().Dx() < 320 || picture.Bounds().Dy() < 200 {
				t.Errorf("%s: %d bytes are no picture: %v", p, len(r.Body), err)
			}
		}
	})
	t.Run("no screen", func(t *testing.T) {
		c.WaitVMI(t, ns, "dark", "running", harness.BootLimit, harness.Running)
		for _, sub := range []string{"vnc", "vnc/screenshot"} {
			r, err := c.Wire.Do(t.Context(), http.MethodGet, wire.Subresource("v1", ns, "virtualmachineinstances", "dark", sub), "")
			if err != nil || r.Code != http.StatusBadRequest || r.Status.Message != "No graphics devices are present." {
				t.Errorf("%s: %d %q, %v", sub, r.Code, r.Status.Message, err)
			}
		}
		for sub, want := range map[string]int{"usbredir": http.StatusConflict, "vsock?port=1": http.StatusBadRequest} {
			if code, text := refusal(t, c.Wire, wire.Subresource("v1", ns, "virtualmachineinstances", "dark", sub)); code != want || text == "" {
				t.Errorf("%s: %d %q, want %d", sub, code, text, want)
			}
		}
	})
	t.Run("who may", func(t *testing.T) {
		for _, role := range []string{"view", "edit", "admin"} {
			c.Kubectl(t, "", "-n", ns, "create", "serviceaccount", role)
			c.Kubectl(t, "", "-n", ns, "create", "rolebinding", role, "--clusterrole="+role, "--serviceaccount="+ns+":"+role)
		}
		viewer, editor, admin := c.As(t, ns, "view"), c.As(t, ns, "edit"), c.As(t, ns, "admin")
		for _, prefix := range []string{"/apis/subresources.kubevirt.io/v1", "/apis/kubevirt.io/v1"} {
			base := prefix + "/namespaces/" + ns + "/virtualmachineinstances/screen/"
			for _, sub := range []string{"console", "vnc", "usbredir", "vsock?port=1", "portforward/22", "vnc/screenshot"} {
				if code, _ := refusal(t, viewer, base+sub); code != http.StatusForbidden {
					t.Errorf("a viewer gets %d from %s%s, want 403", code, base, sub)
				}
				// A socket past the guest's network is for whoever runs the cluster, and a picture for whoever runs the namespace.
				beyond := strings.HasPrefix(sub, "vsock")
				if code, text := refusal(t, editor, base+sub); (code == http.StatusForbidden) != (beyond || sub == "vnc/screenshot") {
					t.Errorf("an editor gets %d from %s%s: %s", code, base, sub, text)
				}
				if code, text := refusal(t, admin, base+sub); (code == http.StatusForbidden) != beyond {
					t.Errorf("an administrator of the namespace gets %d from %s%s: %s", code, base, sub, text)
				}
			}
		}
	})
}

// TestConsoleIsKept shows what a guest has said to who comes late, on the console and in the pod's log.
func TestConsoleIsKept(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{}.VMI("logs"))
	c.Apply(t, ns, strings.Replace(harness.Instance{Null: true}.VMI("silent"), "autoattachGraphicsDevice: false", "autoattachGraphicsDevice: false\n      logSerialConsole: false", 1))
	vmi := c.WaitVMI(t, ns, "logs", "running", harness.BootLimit, harness.Running)
	path := wire.Subresource("v1", ns, "virtualmachineinstances", "logs", "console")
	first := c.Console(t, ns, "logs")
	harness.Shell(t, first)
	harness.Run(t, first, `echo remember"-"me`)

	t.Run("on the console", func(t *testing.T) {
		conn := forward(t, c, path+"?history=true") // types nothing
		var seen bytes.Buffer
		for buf := make([]byte, 4096); !strings.Contains(seen.String(), "remember-me"); {
			n, err := conn.Read(buf)
			seen.Write(buf[:n])
			if err != nil {
				t.Fatalf("%v after\n%s", err, &seen)
			}
		}
		if !strings.Contains(seen.String(), "virtplane tiny guest ready") {
			t.Errorf("the greeting is missing:\n%s", &seen)
		}
		conn.Close()
		// Who does not ask for it is shown nothing old: it could be taken for new.
		again := c.Console(t, ns, "logs")
		harness.Shell(t, again)
		if old := again.Transcript(); strings.Contains(old, "remember-me") || strings.Contains(old, "virtplane tiny guest ready") {
			t.Errorf("a client that comes later sees what another has seen:\n%s", old)
		}
	})
	t.Run("in the log", func(t *testing.T) {
		pod := c.LauncherPod(t, vmi)
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
			out := c.Kubectl(t, "", "-n", ns, "logs", pod.Name, "-c", "guest-console-log")
			if strings.Contains(out, "remember-me") && strings.Contains(out, "virtplane tiny guest ready") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the log says\n%s", out)
			}
		}
		if out := c.Kubectl(t, "", "-n", ns, "logs", pod.Name); !strings.Contains(out, "Started QEMU") {
			t.Errorf("the launcher's log says\n%s", out)
		}
		spec.Covers(t, "P4-LOG-01")
	})
	t.Run("unless it is not wanted", func(t *testing.T) {
		silent := c.WaitVMI(t, ns, "silent", "running", harness.BootLimit, harness.Running)
		if n := len(c.LauncherPod(t, silent).Spec.Containers); n != 1 {
			t.Errorf("%d containers", n)
		}
	})
	t.Run("to its end", func(t *testing.T) {
		pod := c.LauncherPod(t, vmi)
		console := c.Console(t, ns, "logs")
		harness.Shell(t, console)
		if err := console.Send("poweroff"); err != nil {
			t.Fatal(err)
		}
		c.WaitVMI(t, ns, "logs", "succeeded", 2*time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
			return vmi == nil || vmi.Status.Phase == virtv1.Succeeded
		})
		if out := c.Kubectl(t, "", "-n", ns, "logs", pod.Name, "-c", "guest-console-log", "--tail=20"); !regexp.MustCompile(`(?i)power.?down|power.?off`).MatchString(out) {
			t.Errorf("the log ends with\n%s", out)
		}
	})
}

// openFiles counts the descriptors of all processes of some pods.
func openFiles(t *testing.T, c *harness.Cluster, namespace, selector string) int {
	t.Helper()
	list, err := c.Kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("%d pods of %s, %v", len(list.Items), selector, err)
	}
	total := 0
	for _, pod := range list.Items {
		processes, err := pods.Processes(string(pod.UID))
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range processes {
			files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			if err == nil {
				total += len(files)
			}
		}
	}
	return total
}

var numbered = regexp.MustCompile(`(?m)^n(\d+)\r?$`)

// TestManyConsoles connects two hundred clients, twenty at a time, to the console of a guest that writes without a pause.
// No byte is missing in the middle of what any of them sees, who has to go is told why, and no program keeps anything of
// them.
func TestManyConsoles(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{}.VMI("busy"))
	vmi := c.WaitVMI(t, ns, "busy", "running", harness.BootLimit, harness.Running)
	console := c.Console(t, ns, "busy")
	harness.Shell(t, console)
	if err := console.Send("i=0; while :; do i=$((i+1)); echo n$i; done"); err != nil {
		t.Fatal(err)
	}
	harness.Expect(t, console, time.Minute, "n100\n")
	path := wire.Subresource("v1", ns, "virtualmachineinstances", "busy", "console")
	programs := map[string][2]string{
		"virt-api": {harness.SystemNamespace, "kubevirt.io=virt-api"}, "virt-handler": {harness.SystemNamespace, "kubevirt.io=virt-handler"},
		"launcher": {ns, virtv1.CreatedByLabel + "=" + string(vmi.UID)},
	}
	before := map[string]int{}
	for name, p := range programs {
		before[name] = openFiles(t, c, p[0], p[1])
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 10 {
				if _, err := watchNumbers(t.Context(), c.Wire, path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// The last one is alone: nobody takes its place before it has seen enough.
	if n, err := watchNumbers(t.Context(), c.Wire, path); err != nil || n < watchedBytes/20 {
		t.Errorf("the last client has seen %d lines, %v", n, err)
	}
	// Nobody else uses the launcher. Other tests stream through the other programs meanwhile: of two hundred streams, each of
	// which takes files of its own, less than half may be theirs.
	slack := map[string]int{"launcher": 4, "virt-api": 100, "virt-handler": 100}
	for name, p := range programs {
		for end := time.Now().Add(accessLimit); ; time.Sleep(time.Second) {
			now := openFiles(t, c, p[0], p[1])
			if now <= before[name]+slack[name] {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s has %d files open, %d before", name, now, before[name])
				break
			}
		}
	}
}

// watchedBytes is how much a client reads that nobody replaces.
const watchedBytes = 100_000

// watchNumbers reads some of a stream of numbered lines, wants each to follow the one before, and counts them.
func watchNumbers(ctx context.Context, client *wire.Client, path string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, accessLimit)
	defer cancel()
	conn, err := client.Socket(ctx, path)
	var refused *wire.Refused
	for errors.As(err, &refused) && refused.Code == http.StatusServiceUnavailable && ctx.Err() == nil {
		time.Sleep(time.Second) // on a busy machine the kubelet may take the node's agent for unready for a moment
		conn, err = client.Socket(ctx, path)
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(websocket.StatusNormalClosure, "") }()
	var seen bytes.Buffer
	for seen.Len() < watchedBytes {
		_, data, err := conn.Read(ctx)
		var closed websocket.CloseError
		if errors.As(err, &closed) && closed.Code == websocket.StatusGoingAway && strings.Contains(closed.Reason, "takes your place") {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("after %d bytes: %w", seen.Len(), err)
		}
		seen.Write(data)
	}
	lines := numbered.FindAllStringSubmatch(seen.String(), -1)
	// Who is replaced at once may have seen nothing yet.
	if len(lines) < 2 && seen.Len() > 1000 {
		return 0, fmt.Errorf("%d bytes hold %d numbered lines: %.200q", seen.Len(), len(lines), seen.String())
	}
	last := 0
	for i, line := range lines[:max(0, len(lines)-1)] { // the last one may be cut off
		var n int
		fmt.Sscan(line[1], &n)
		if i > 0 && n != last+1 {
			return 0, fmt.Errorf("%d follows %d", n, last)
		}
		last = n
	}
	return len(lines), nil
}
