package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// waitFor bounds each wait of these tests.
const waitFor = 20 * time.Second

// lab is a hub with its sockets, and QEMU's end of the port.
type lab struct {
	t    *testing.T
	dir  string
	hub  *Hub
	port net.Conn
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub") // short, for the sake of the sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lab{t: t, dir: dir, hub: New(slog.New(slog.NewTextHandler(io.Discard, nil)))}
	if err := l.hub.ServeLog(l.path("log")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // QEMU did not start at first
		if err := l.hub.Serve(l.path("port"), l.path("clients"), l.path("history")); err != nil {
			t.Fatal(err)
		}
	}
	l.port = l.dial("port")
	l.eventually("QEMU's connection is taken", func() bool { return l.hub.port != nil })
	t.Cleanup(func() { l.hub.Close(0) })
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) dial(name string) net.Conn {
	l.t.Helper()
	conn, err := net.Dial("unix", l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(waitFor))
	return conn
}

// eventually waits for something that the hub's mutex guards.
func (l *lab) eventually(what string, ok func() bool) {
	l.t.Helper()
	for end := time.Now().Add(waitFor); ; time.Sleep(5 * time.Millisecond) {
		l.hub.mu.Lock()
		done := ok()
		l.hub.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%s: not within %s", what, waitFor)
		}
	}
}

func (l *lab) print(text string) {
	l.t.Helper()
	if _, err := io.WriteString(l.port, text); err != nil {
		l.t.Fatal(err)
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got[:n], err, want)
	}
}

func TestLateClientSeesWhatWas(t *testing.T) {
	l := newLab(t)
	l.print("booting\n\x1b[6nlogin: ")
	log := l.dial("log")
	expect(t, log, "booting\n\x1b[6nlogin: ") // the log is no terminal
	client := l.dial("clients")
	expect(t, client, "booting\nlogin: ")
	if _, err := client.Write([]byte("root\n")); err != nil {
		t.Fatal(err)
	}
	expect(t, l.port, "root\n")
	l.print("\x1b[6n# ")
	expect(t, client, "\x1b[6n# ")

	// The next one takes over, and sees all of it too if it asks for that.
	next := l.dial("history")
	expect(t, next, "booting\nlogin: # ")
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client before: %v", err)
	}
	if _, err := next.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	expect(t, l.port, "x")

	// The guest's last words reach everyone, and then the end.
	l.print("down\n")
	l.port.Close()
	for name, c := range map[string]net.Conn{"client": next, "log": log} {
		rest, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(rest), "down\n") {
			t.Errorf("%s: %q, %v", name, rest, err)
		}
	}
}

// TestClientSeesWhatNobodyHasSeen: who comes back must not take an old prompt for a new one.
func TestClientSeesWhatNobodyHasSeen(t *testing.T) {
	l := newLab(t)
	l.print("booting\nlogin: ")
	first := l.dial("clients")
	expect(t, first, "booting\nlogin: ")
	l.print("root\n# ")
	expect(t, first, "root\n# ")
	l.eventually("the hub knows", func() bool { return l.hub.seen == l.hub.ring.end })
	first.Close()
	l.eventually("the first has gone", func() bool { return l.hub.client == nil })
	nothing := func(r net.Conn) {
		t.Helper()
		_ = r.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		var timeout net.Error
		if n, err := r.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("read %d bytes, %v, where nothing is new", n, err)
		}
		_ = r.SetReadDeadline(time.Now().Add(waitFor))
	}
	second := l.dial("clients")
	nothing(second)
	l.print("new\n")
	expect(t, second, "new\n")
	second.Close()
	l.eventually("the second has gone", func() bool { return l.hub.client == nil })

	l.print("while nobody looked\n\x1b[6n# ")
	log := l.dial("log") // which is nobody who could answer
	expect(t, log, "booting\nlogin: root\n# new\nwhile nobody looked\n\x1b[6n# ")
	third := l.dial("clients")
	expect(t, third, "while nobody looked\n# ")
	all := l.dial("history")
	expect(t, all, "booting\nlogin: root\n# new\nwhile nobody looked\n# ")
	l.print("last\n")
	expect(t, all, "last\n")
	// One that takes another's place is told nothing anew.
	fourth := l.dial("clients")
	nothing(fourth)
	l.print("on\n")
	expect(t, fourth, "on\n")
}

// TestNoByteTwice: clients that take each other's place see together each byte once, and none is missing.
func TestNoByteTwice(t *testing.T) {
	l := newLab(t)
	const count = 100_000
	go func() { _, _ = l.port.Write(lines(0, count)) }()
	var seen bytes.Buffer
	client := l.dial("clients")
	for range 20 {
		if _, err := io.CopyN(&seen, client, 10_000); err != nil {
			t.Fatal(err)
		}
		next := l.dial("clients")
		if _, err := io.Copy(&seen, client); err != nil { // what was on its way to the one who has to go
			t.Fatal(err)
		}
		client = next
	}
	if _, err := io.CopyN(&seen, client, int64(9*count-seen.Len())); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(seen.Bytes(), lines(0, count)) {
		t.Errorf("%d bytes: %v", seen.Len(), contiguous(seen.Bytes()))
	}
}

func TestEndOfWhatWasKeptBeginsWithALine(t *testing.T) {
	l := newLab(t)
	log := l.dial("log")
	all := lines(0, 20_000)
	go func() { _, _ = l.port.Write(all) }()
	got := make([]byte, len(all))
	if _, err := io.ReadFull(log, got); err != nil || !bytes.Equal(got, all) {
		t.Fatalf("the log differs: %v", err)
	}
	client := l.dial("clients")
	kept := make([]byte, Kept)
	n, err := io.ReadAtLeast(client, kept, Kept-len("00000000\n"))
	if err != nil || !bytes.HasSuffix(all, kept[:n]) || !regexp.MustCompile(`^[0-9a-f]{8}\n`).Match(kept) {
		t.Errorf("%d bytes from %q, %v", n, kept[:20], err)
	}
}

// lines are numbered.
func lines(from, to int) []byte {
	var b bytes.Buffer
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%08x\n", i)
	}
	return b.Bytes()
}

// contiguous tells where numbered lines do not follow one another; what was cut off at the ends is left out.
func contiguous(p []byte) error {
	rows := strings.Split(string(p), "\n")
	if len(rows) < 3 {
		return nil
	}
	last := -1
	for _, row := range rows[1 : len(rows)-1] {
		var i int
		if n, err := fmt.Sscanf(row, "%08x", &i); n != 1 || err != nil || len(row) != 8 || last >= 0 && i != last+1 {
			return fmt.Errorf("%q after %08x", row, last)
		}
		last = i
	}
	return nil
}

// TestManyClients connects again and again while the guest writes without a pause: each sees a piece of the stream with
// nothing missing in it, and nothing is left of them.
func TestManyClients(t *testing.T) {
	l := newLab(t)
	before := runtime.NumGoroutine()
	stop := make(chan struct{})
	var guest sync.WaitGroup
	guest.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := l.port.Write(lines(i, i+1)); err != nil {
				t.Errorf("the guest: %v", err)
				return
			}
		}
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				conn, err := net.Dial("unix", l.path("clients"))
				if err != nil {
					t.Error(err)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(waitFor))
				got, _ := io.ReadAll(io.LimitReader(conn, 3*Kept/2)) // it ends early when the next one comes
				conn.Close()
				if err := contiguous(got); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	guest.Wait()
	for end := time.Now().Add(waitFor); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestSlowClientIsWaitedFor: a client that reads slowly misses nothing, for the guest waits.
func TestSlowClientIsWaitedFor(t *testing.T) {
	l := newLab(t)
	client := l.dial("clients")
	const count = 120_000 // more than the hub and all buffers hold
	go func() { _, _ = l.port.Write(lines(0, count)) }()
	var got bytes.Buffer
	for got.Len() < 9*count {
		if _, err := io.CopyN(&got, client, 90_000); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if !bytes.Equal(got.Bytes(), lines(0, count)) {
		t.Error(contiguous(got.Bytes()))
	}
}

// TestLogIsNotWaitedFor: what the log's reader has missed is counted, and the guest goes on.
func TestLogIsNotWaitedFor(t *testing.T) {
	l := newLab(t)
	log := l.dial("log") // reads nothing yet
	all := lines(0, 200_000)
	if err := l.port.SetWriteDeadline(time.Now().Add(waitFor)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.port.Write(all); err != nil {
		t.Fatalf("the guest is held up: %v", err)
	}
	l.port.Close()
	got, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`\n\[(\d+) bytes are missing here\]\n`).FindAllSubmatchIndex(got, -1)
	if len(parts) == 0 {
		t.Fatalf("nothing is said to be missing among %d of %d bytes", len(got), len(all))
	}
	total := len(got)
	for _, p := range parts {
		var missing int
		fmt.Sscan(string(got[p[2]:p[3]]), &missing)
		total += missing - (p[1] - p[0])
	}
	if total != len(all) || !bytes.HasSuffix(all, got[parts[len(parts)-1][1]:]) {
		t.Errorf("%d bytes in all, want %d", total, len(all))
	}
}

// TestGuestThatTakesNothing must not keep the next client away.
func TestGuestThatTakesNothing(t *testing.T) {
	l := newLab(t)
	for range 3 {
		client := l.dial("clients")
		_ = client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for {
			if _, err := client.Write(make([]byte, 64<<10)); err != nil {
				break // all buffers are full
			}
		}
		client.Close()
	}
	client := l.dial("clients")
	l.print("here\n")
	expect(t, client, "here\n")
}

func TestCloseWithoutQEMU(t *testing.T) {
	dir := t.TempDir()
	hub := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	for name, serve := range map[string]func() error{
		"log": func() error { return hub.ServeLog(filepath.Join(dir, "log")) },
		"ports": func() error {
			return hub.Serve(filepath.Join(dir, "port"), filepath.Join(dir, "clients"), filepath.Join(dir, "history"))
		},
	} {
		if err := serve(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var out bytes.Buffer
	printed := make(chan error, 1)
	go func() { printed <- Print(t.Context(), filepath.Join(dir, "log"), waitFor, &out) }()
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	hub.Close(waitFor)
	if took := time.Since(began); took > waitFor/2 {
		t.Errorf("closing took %s", took)
	}
	if err := <-printed; err != nil && !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
	if err := hub.ServeLog(filepath.Join(dir, "late")); err != nil {
		t.Error(err)
	}
}

func TestPrint(t *testing.T) {
	l := newLab(t)
	l.print("one\n")
	var out bytes.Buffer
	printed := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { printed <- Print(ctx, l.path("log"), waitFor, &out) }()
	l.eventually("the printer comes", func() bool { return len(l.hub.logs) > 0 })
	cancel() // the pod is told to end: what the guest says now matters most
	l.print("two\n")
	l.port.Close()
	if err := <-printed; err != nil || out.String() != "one\ntwo\n" {
		t.Errorf("printed %q, %v", out.String(), err)
	}
	if err := Print(t.Context(), l.path("nobody"), time.Millisecond, &out); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
}

func TestSecondQEMUIsRefused(t *testing.T) {
	l := newLab(t)
	l.print("x")
	expect(t, l.dial("clients"), "x")
	if conn, err := net.Dial("unix", l.path("port")); err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(waitFor))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a second connection to the port: %v", err)
		}
	}
}
