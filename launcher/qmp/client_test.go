package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const hello = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}`

// server plays QEMU: it answers each command with what script returns for it.
type server struct {
	conn   net.Conn
	mu     sync.Mutex
	script func(s *server, cmd string, id, args json.RawMessage)
}

func (s *server) send(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.conn, format+"\r\n", args...)
}

func (s *server) run() {
	s.send(hello)
	d := json.NewDecoder(s.conn)
	for {
		var m struct {
			Execute   string          `json:"execute"`
			Arguments json.RawMessage `json:"arguments"`
			ID        json.RawMessage `json:"id"`
		}
		if d.Decode(&m) != nil {
			return
		}
		if m.Execute == "qmp_capabilities" {
			s.send(`{"return": {}, "id": %s}`, m.ID)
			continue
		}
		s.script(s, m.Execute, m.ID, m.Arguments)
	}
}

// connect gives a client of a server that follows script.
func connect(t *testing.T, script func(s *server, cmd string, id, args json.RawMessage), opts ...Option) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &server{conn: theirs, script: script}
	var wg sync.WaitGroup
	wg.Go(s.run)
	c, err := New(t.Context(), ours, opts...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { c.Close(); theirs.Close(); wg.Wait() })
	return c
}

func TestExecute(t *testing.T) {
	c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
		switch cmd {
		case "query-status":
			s.send(`{"return": {"running": true, "status": "running"}, "id": %s}`, id)
		case "set_link":
			s.send(`{"error": {"class": "DeviceNotFound", "desc": "Device 'net9' not found"}, "id": %s}`, id)
		case "qom-get":
			s.send(`{"return": "pc-q35-7.2-machine", "id": %s}`, id)
		}
	})
	if got := c.Version().String(); got != "7.2.22 (Debian)" {
		t.Errorf("Version() = %q", got)
	}
	got, err := c.QueryStatus(t.Context())
	if diff := cmp.Diff(Status{Running: true, Status: StateRunning}, got); err != nil || diff != "" {
		t.Errorf("QueryStatus: %v\n%s", err, diff)
	}
	if m, err := c.MachineType(t.Context()); m != "pc-q35-7.2" || err != nil {
		t.Errorf("MachineType() = %q, %v", m, err)
	}
	err = c.SetLink(t.Context(), "net9", true)
	if want := "qmp set_link: Device 'net9' not found (DeviceNotFound)"; err == nil || err.Error() != want {
		t.Errorf("SetLink: got %v, want %s", err, want)
	}
	if !IsClass(err, ClassDeviceNotFound) || IsClass(err, ClassGeneric) {
		t.Errorf("IsClass is wrong about %v", err)
	}
}

func TestRepliesOutOfOrder(t *testing.T) {
	var mu sync.Mutex
	var held []json.RawMessage
	c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, id)
		if len(held) < 8 {
			return
		}
		for i := len(held) - 1; i >= 0; i-- {
			s.send(`{"return": {"status": "s%s"}, "id": %s}`, strings.Trim(string(held[i]), `"`), held[i])
		}
	})
	var wg sync.WaitGroup
	got := make([]RunState, 8)
	for i := range got {
		wg.Go(func() {
			s, err := c.QueryStatus(t.Context())
			if err != nil {
				t.Errorf("QueryStatus: %v", err)
			}
			got[i] = s.Status
		})
	}
	wg.Wait()
	seen := map[RunState]bool{}
	for _, s := range got {
		seen[s] = true
	}
	if len(seen) != 8 {
		t.Errorf("answers went to the wrong callers: %v", got)
	}
}

func TestLateReplyIsStray(t *testing.T) {
	late := make(chan json.RawMessage, 1)
	c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
		if cmd == "stop" {
			late <- id
			return
		}
		s.send(`{"return": {}, "id": %s}`, <-late)
		s.send(`{"return": {}, "id": %s}`, id)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("caller left")
	done := make(chan error)
	go func() { done <- c.Stop(ctx) }()
	id := <-late
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("Stop: %v", err)
	}
	late <- id
	if err := c.Cont(t.Context()); err != nil {
		t.Errorf("Cont: %v", err)
	}
	if c.Strays() != 1 {
		t.Errorf("Strays() = %d, want 1", c.Strays())
	}
}

func TestConnectionEnds(t *testing.T) {
	for _, tc := range []struct {
		name, last string
		want       error
	}{
		{"by the other end", "", ErrClosed},
		{"by nonsense", "}{", ErrProtocol},
		{"by a wrong type", `{"event": 3}`, ErrProtocol},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
				if tc.last != "" {
					s.send("%s", tc.last)
				}
				s.conn.Close()
			})
			sub := c.Subscribe(1)
			if err := c.Stop(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(err, tc.want) {
				t.Errorf("Stop: %v, want %v", err, tc.want)
			}
			<-c.Done()
			if _, open := <-sub.C(); open {
				t.Error("subscription outlives the connection")
			}
			if _, open := <-c.Subscribe(1).C(); open {
				t.Error("subscription to an ended connection is open")
			}
			if err := c.Cont(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("Cont after the end: %v", err)
			}
		})
	}
}

func TestReplyBeforeEndIsHeard(t *testing.T) {
	for range 50 {
		c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
			s.send(`{"return": {}, "id": %s}`, id)
			s.conn.Close()
		})
		if err := c.Quit(t.Context()); err != nil {
			t.Fatalf("Quit: %v", err)
		}
	}
}

func TestHandshakeRefusals(t *testing.T) {
	for _, tc := range []struct{ name, says, want string }{
		{"no QMP", `{"return": {}}`, "qmp: protocol violated: first message is no greeting"},
		{"not JSON", "SSH-2.0-OpenSSH_9.2\r\n", "qmp: reading greeting: qmp: protocol violated: invalid character 'S' looking for beginning of value"},
		{"closed", "", "qmp: connection closed before its greeting"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() { io.WriteString(theirs, tc.says); theirs.Close() }()
			if _, err := New(t.Context(), ours); err == nil || err.Error() != tc.want {
				t.Errorf("New: got %v, want %s", err, tc.want)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := New(ctx, ours); !errors.Is(err, context.Canceled) {
			t.Errorf("New: %v", err)
		}
	})
}

func TestEventsDropForSlowReaders(t *testing.T) {
	c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
		for i := range 5 {
			s.send(`{"timestamp": {"seconds": 1700000000, "microseconds": %d}, "event": "RTC_CHANGE", "data": {"offset": %d}}`, 250000+i, i)
		}
		s.send(`{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "STOP"}`)
		s.send(`{"return": {}, "id": %s}`, id)
	})
	slow, fast, gone := c.Subscribe(2), c.Subscribe(10), c.Subscribe(1)
	gone.Close()
	gone.Close()
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if slow.Dropped() != 4 || fast.Dropped() != 0 {
		t.Errorf("dropped %d and %d events, want 4 and 0", slow.Dropped(), fast.Dropped())
	}
	first := <-fast.C()
	want := Event{Name: "RTC_CHANGE", Data: json.RawMessage(`{"offset": 0}`), Time: time.Unix(1700000000, 250000000)}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	for range 4 {
		<-fast.C()
	}
	if last := <-fast.C(); last.Name != EventStop || !last.Time.IsZero() || last.Decode(&struct{}{}) != nil {
		t.Errorf("last event: %+v", last)
	}
}

// A reply of several hundred kilobytes in one line is common: query-qmp-schema, query-named-block-nodes.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
		s.send(`{"return": "%s", "id": %s}`, long, id)
	})
	var got string
	if err := c.Execute(t.Context(), "query-qmp-schema", nil, &got); err != nil || got != long {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestEndlessMessageEndsConnection(t *testing.T) {
	c := connect(t, func(s *server, cmd string, id, args json.RawMessage) {
		io.WriteString(s.conn, `{"return": "`)
		chunk := strings.Repeat("x", 1<<20)
		for {
			if _, err := io.WriteString(s.conn, chunk); err != nil {
				return
			}
		}
	})
	if err := c.Stop(t.Context()); !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("Stop: %v", err)
	}
}

func TestFilesArePassed(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	content := make(chan string, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, hello+"\n")
		r := bufio.NewReader(conn)
		r.ReadString('\n')
		io.WriteString(conn, `{"return": {}, "id": "1"}`)
		buf, oob := make([]byte, 4096), make([]byte, 128)
		_, n, _, _, err := conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return
		}
		msgs, _ := syscall.ParseSocketControlMessage(oob[:n])
		fds, _ := syscall.ParseUnixRights(&msgs[0])
		f := os.NewFile(uintptr(fds[0]), "passed")
		raw, _ := io.ReadAll(f)
		f.Close()
		content <- string(raw)
		io.WriteString(conn, `{"return": {}, "id": "2"}`)
	})
	c, err := Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { c.Close(); wg.Wait() }()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("for QEMU"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := c.GetFD(t.Context(), "disk", f); err != nil {
		t.Fatal(err)
	}
	if got := <-content; got != "for QEMU" {
		t.Errorf("passed file holds %q", got)
	}
}

func TestFilesNeedUnixSocket(t *testing.T) {
	c := connect(t, func(*server, string, json.RawMessage, json.RawMessage) {})
	if err := c.GetFD(t.Context(), "x", os.Stdin); err == nil || !strings.Contains(err.Error(), "only be passed over a unix socket") {
		t.Errorf("GetFD: %v", err)
	}
	if err := c.GetFD(t.Context(), "x", nil); err == nil {
		t.Error("GetFD took no file")
	}
}

// QEMU makes its socket some milliseconds after it was started.
func TestDialWaitsForSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dialed := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		c, err := Dial(ctx, path)
		if err == nil {
			c.Close()
		}
		dialed <- err
	}()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	(&server{conn: conn, script: func(*server, string, json.RawMessage, json.RawMessage) {}}).run()
	if err := <-dialed; err != nil {
		t.Errorf("Dial: %v", err)
	}
	cancel()
	if _, err := Dial(ctx, path+"2"); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial to nothing: %v", err)
	}
}
