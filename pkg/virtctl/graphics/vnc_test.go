package graphics

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

const greeting = "RFB 003.008\n"

// screen greets as a VNC server does, the server first, and pings meanwhile: a client that does not read would be cut.
func screen(t *testing.T) *virtctltest.Server {
	return &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/vnc"):
			conn := virtctltest.Stream(t, w, r)
			if conn == nil {
				return true
			}
			defer conn.CloseNow()
			ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
			defer cancel()
			if err := conn.Write(ctx, websocket.MessageBinary, []byte(greeting)); err != nil {
				return true
			}
			go func() {
				for ctx.Err() == nil {
					pinged, done := context.WithTimeout(ctx, 2*time.Second)
					if err := conn.Ping(pinged); err != nil {
						conn.CloseNow()
					}
					done()
					time.Sleep(50 * time.Millisecond)
				}
			}()
			for {
				_, data, err := conn.Read(ctx)
				if err != nil || conn.Write(ctx, websocket.MessageBinary, data) != nil {
					return true
				}
			}
		case strings.HasSuffix(r.URL.Path, "/vnc/screenshot"):
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("\x89PNG\r\n\x1a\npicture"))
			return true
		}
		virtctltest.Refuse(w, 404, "not found")
		return true
	}}
}

// greets connects as a viewer does.
func greets(t *testing.T, port int) {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, len(greeting))
	if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != greeting {
		t.Fatalf("the proxy says %q, %v", buf, err)
	}
}

func TestProxyOnly(t *testing.T) {
	server := screen(t)
	s := virtctltest.Start(t, server, nil, virtctltest.One(New), "vnc", "--proxy-only=true", "web")
	virtctltest.Eventually(t, "the port", func() bool { return strings.HasSuffix(s.Out.String(), "\n") })
	var printed struct{ Port int }
	if err := json.Unmarshal([]byte(s.Out.String()), &printed); err != nil || printed.Port == 0 {
		t.Fatalf("printed %q, %v", s.Out.String(), err)
	}
	time.Sleep(300 * time.Millisecond) // nobody is in a hurry: pings must be answered meanwhile
	greets(t, printed.Port)
	greets(t, printed.Port) // a second viewer gets a stream of its own
	if err := s.Interrupt(); err != nil {
		t.Errorf("Ctrl+C: %v", err)
	}
	if got := server.Saw("GET", virtctltest.Base+"virtualmachineinstances/web/vnc"); len(got) != 2 {
		t.Errorf("opened %d streams, want 2", len(got))
	}
	spec.Covers(t, "P1-VCTL-16")
}

func TestPort(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	server := screen(t)
	_, _, err = virtctltest.Run(t, server, nil, virtctltest.One(New), "vnc", "web", "--proxy-only", fmt.Sprintf("--port=%d", port))
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a busy port: %v", err)
	}
	if len(server.Requests()) > 0 {
		t.Error("took the screen though the port is busy")
	}
	free.Close()
	s := virtctltest.Start(t, server, nil, virtctltest.One(New), "vnc", "web", "--proxy-only", fmt.Sprintf("--port=%d", port))
	virtctltest.Eventually(t, "the port", func() bool { return s.Out.String() == fmt.Sprintf("{\"port\":%d}\n", port) })
	greets(t, port)
	if err := s.Interrupt(); err != nil {
		t.Error(err)
	}
	spec.Covers(t, "P1-VCTL-17")
}

// fakeViewer puts a viewer of this name in PATH: it connects to its last vnc:// address, writes what it is greeted with and its
// own arguments to a file, and ends with a code.
func fakeViewer(t *testing.T, name, code string) (log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	script := "#!/bin/bash\nat=${1#vnc://}\nexec 3<>/dev/tcp/${at%:*}/${at##*:} || exit 9\nread -r line <&3\necho \"$line\" >" + log + "\nprintf '%s\\n' \"${@:2}\" >>" + log + "\nexit " + code + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("DISPLAY", ":0")
	return log
}

func TestViewer(t *testing.T) {
	log := fakeViewer(t, "remote-viewer", "0")
	_, says, err := virtctltest.Run(t, screen(t), nil, virtctltest.One(New), "vnc", "web")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(log); !strings.HasPrefix(string(got), "RFB 003.008\n") {
		t.Errorf("the viewer saw %q", got)
	}
	quiet := len(says)
	_, says, err = virtctltest.Run(t, screen(t), nil, virtctltest.One(New), "vnc", "web", "-v", "4")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(log); string(got) != "RFB 003.008\n--debug\n" {
		t.Errorf("with -v 4 the viewer saw and was told %q", got)
	}
	for _, want := range []string{"opening ", "/virtualmachineinstances/web/vnc", "starting ", "the viewer connected"} {
		if !strings.Contains(says, want) {
			t.Errorf("-v 4 says %q, without %q", says, want)
		}
	}
	if quiet >= len(says) {
		t.Errorf("-v 4 says no more than nothing: %q", says)
	}
	spec.Covers(t, "P1-VCTL-15", "P2-VIRTCTL-03", "P2-VIRTCTL-05")
}

func TestViewerMissingOrFailing(t *testing.T) {
	t.Run("fails", func(t *testing.T) {
		fakeViewer(t, "remote-viewer", "3")
		_, _, err := virtctltest.Run(t, screen(t), nil, virtctltest.One(New), "vnc", "web")
		if err == nil || !strings.HasSuffix(err.Error(), "remote-viewer: exit status 3") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		fakeViewer(t, "remote-viewer", "0")
		server := &virtctltest.Server{Answer: func(w http.ResponseWriter, _ *http.Request) bool {
			virtctltest.Refuse(w, 400, "No graphics devices are present.")
			return true
		}}
		_, _, err := virtctltest.Run(t, server, nil, virtctltest.One(New), "vnc", "web")
		if err == nil || err.Error() != "vnc of vmi/web: No graphics devices are present." {
			t.Errorf("error %v", err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		server := screen(t)
		_, _, err := virtctltest.Run(t, server, nil, virtctltest.One(New), "vnc", "web")
		if err == nil || !strings.HasPrefix(err.Error(), "found no VNC viewer: install remote-viewer (package virt-viewer)") || len(server.Requests()) > 0 {
			t.Errorf("error %v, asked %v", err, server.Requests())
		}
		spec.Covers(t, "P2-VIRTCTL-04")
	})
}

func TestViewerArguments(t *testing.T) {
	for _, tc := range []struct {
		kind, address string
		want          []string
	}{
		{remoteViewer, "127.0.0.1", []string{"vnc://127.0.0.1:5901"}},
		{remoteViewer, "0.0.0.0", []string{"vnc://127.0.0.1:5901"}},
		{remoteViewer, "::1", []string{"vnc://[::1]:5901"}},
		{tiger, "127.0.0.1", []string{"127.0.0.1:5901"}},
		{chicken, "127.0.0.1", []string{"127.0.0.1:5901"}},
		{realVNC, "127.0.0.1", []string{"127.0.0.1:5901", "-WarnUnencrypted=0", "-Shared=0", "-ShareFiles=0"}},
	} {
		v := viewer{kind: tc.kind}
		if diff := cmp.Diff(tc.want, v.arguments(tc.address, 5901)); diff != "" {
			t.Errorf("%s at %s (-want +got):\n%s", tc.kind, tc.address, diff)
		}
	}
}

func TestScreenshot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.png")
	server := screen(t)
	out, says, err := virtctltest.Run(t, server, nil, virtctltest.One(New), "vnc", "screenshot", "web", "--file", file, "--move-cursor")
	if err != nil || out != "" || says != "Wrote "+file+", 15 bytes\n" {
		t.Errorf("printed %q, said %q, %v", out, says, err)
	}
	if got, _ := os.ReadFile(file); string(got) != "\x89PNG\r\n\x1a\npicture" {
		t.Errorf("wrote %q", got)
	}
	if got := server.Requests()[0].Path; got != virtctltest.Base+"virtualmachineinstances/web/vnc/screenshot?moveCursor=true" {
		t.Errorf("asked for %s", got)
	}
	out, _, err = virtctltest.Run(t, server, nil, virtctltest.One(New), "vnc", "screenshot", "web", "-f", "-")
	if err != nil || !strings.HasPrefix(out, "\x89PNG") {
		t.Errorf("printed %q, %v", out, err)
	}
	_, _, err = virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(New), "vnc", "screenshot", "web", "-f", file)
	if err == nil || !strings.Contains(err.Error(), "instead of a picture") {
		t.Errorf("no picture: %v", err)
	}
}
