package metrics

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func source() Source {
	return Source{
		Guest: Guest{Node: "node-1", VCPUs: 2, MemoryKiB: 131072}, Proc: "testdata/node/proc", Sys: "testdata/node/sys",
		PID: func() int { return 42 }, Version: func() string { return "7.2.22" }, Now: func() time.Time { return time.Unix(1795811400, 0) },
	}
}

func TestReport(t *testing.T) {
	early := source()
	early.PID, early.Version = func() int { return 0 }, func() string { return "" }
	early.Proc, early.Sys = "testdata/nothing", "testdata/nothing"
	for name, s := range map[string]Source{"full": source(), "nothing-known": early} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Report()
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".xml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from %s (run: go test ./launcher/metrics -update):\n%s", golden, diff)
			}
		})
	}
}

// TestThisNode reads the figures of the machine that the test runs on.
func TestThisNode(t *testing.T) {
	s := source()
	s.Proc, s.Sys, s.PID = "", "", func() int { return 0 }
	raw, err := s.Report()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NumberOfPhysicalCPUs", "TotalCPUTime", "FreePhysicalMemory", "UsedVirtualMemory", "PagedInMemory", "Time"} {
		if !bytes.Contains(raw, []byte("<name>"+want+"</name>")) {
			t.Errorf("no %s in\n%s", want, raw)
		}
	}
}

func TestThreadTime(t *testing.T) {
	line := func(name, rest string) string { return "7 (" + name + ") R " + rest }
	const good = "1 42 42 0 -1 4194560 100 0 0 0 30 12 0 0 20"
	for _, tc := range []struct {
		name, stat, thread string
		used               time.Duration
		want               string
	}{
		{"plain", line("CPU 0/TCG", good), "CPU 0/TCG", 420 * time.Millisecond, ""},
		{"brackets in the name", line("a) R (b", good), "a) R (b", 420 * time.Millisecond, ""},
		{"no name", "7 CPU R 1", "", 0, "has no name"},
		{"closed first", ") 7 (", "", 0, "has no name"},
		{"short", line("CPU", "1 2 3"), "", 0, "is too short"},
		{"no number", line("CPU", strings.Replace(good, "30", "x", 1)), "", 0, "invalid syntax"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name, used, err := threadTime(tc.stat)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %s", err, tc.want)
				}
				return
			}
			if err != nil || name != tc.thread || used != tc.used {
				t.Errorf("%q used %s, %v", name, used, err)
			}
		})
	}
}

func FuzzThreadTime(f *testing.F) {
	f.Add("7 (CPU 0/TCG) R 1 42 42 0 -1 4194560 100 0 0 0 30 12 0 0 20", ") R (0", uint32(30), uint32(12))
	f.Fuzz(func(t *testing.T, stat, name string, user, kernel uint32) {
		_, _, _ = threadTime(stat)
		got, took, err := threadTime(fmt.Sprintf("7 (%s) R 1 42 42 0 -1 4194560 100 0 0 0 %d %d 0 0 20", name, user, kernel))
		if err != nil || got != name || took != (time.Duration(user)+time.Duration(kernel))*tick {
			t.Errorf("thread %q with %d and %d ticks is read as %q with %s, %v", name, user, kernel, got, took, err)
		}
	})
}

// readDisk reads a disk as a guest does.
func readDisk(t *testing.T, path string) (busy bool, body string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) != 256<<10 || string(raw[:4]) != "mvbd" {
		t.Fatalf("%d bytes that begin with %q", len(raw), raw[:4])
	}
	length := binary.BigEndian.Uint32(raw[12:])
	data := raw[16 : 16+length]
	var sum uint32
	for _, b := range data {
		sum += uint32(b)
	}
	if got := binary.BigEndian.Uint32(raw[8:]); got != sum {
		t.Errorf("sum %d, want %d", got, sum)
	}
	return binary.BigEndian.Uint32(raw[4:]) != 0, string(data)
}

func TestDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	for range 2 { // making it again is no harm
		if err := CreateDisk(path); err != nil {
			t.Fatal(err)
		}
	}
	if busy, body := readDisk(t, path); busy || body != "<metrics></metrics>\n" {
		t.Errorf("busy %v, %q", busy, body)
	}
	report, err := source().Report()
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteDisk(path, report); err != nil {
		t.Fatal(err)
	}
	if busy, body := readDisk(t, path); busy || body != string(report)+"\n" {
		t.Errorf("busy %v, %q", busy, body)
	}
	if err := WriteDisk(path, []byte("<metrics/>")); err != nil { // a shorter one
		t.Fatal(err)
	}
	if _, body := readDisk(t, path); body != "<metrics/>\n" {
		t.Errorf("%q", body)
	}
	if err := WriteDisk(path, make([]byte, 256<<10)); err == nil || !strings.Contains(err.Error(), "more than the disk holds") {
		t.Errorf("too large: %v", err)
	}
	if err := WriteDisk(path+".gone", nil); err == nil {
		t.Error("a missing disk was written")
	}
}

// channel is QEMU's end of a guest's port.
func channel(t *testing.T) (*net.UnixListener, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "metrics-") // a test's own folder has too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

func TestServe(t *testing.T) {
	l, socket := channel(t)
	s := source()
	s.Socket, s.Disk = socket, filepath.Join(t.TempDir(), "disk")
	if err := CreateDisk(s.Disk); err != nil {
		t.Fatal(err)
	}
	c := Serve(s, slog.New(slog.NewTextHandler(io.Discard, nil)))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	answer := func() string { // up to the blank line that ends it
		var b strings.Builder
		for !strings.HasSuffix(b.String(), "\n\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("after %q: %v", b.String(), err)
			}
			b.WriteString(line)
		}
		return b.String()
	}
	want, err := s.Report()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, request, want string }{
		{"metrics", "GET /metrics/XML\n\n", string(want) + "\n\n"},
		{"with carriage returns", "GET /metrics/XML\r\n\r\n", string(want) + "\n\n"},
		{"another path", "GET /\n\n", invalid},
		{"another method", "PUT /metrics/XML\n\n", invalid},
		{"no blank line", "GET /metrics/XML\nHost: x\n\n", invalid},
		{"metrics again", "GET /metrics/XML\n\n", string(want) + "\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fmt.Fprint(conn, tc.request)
			if diff := cmp.Diff(tc.want, answer()); diff != "" {
				t.Error(diff)
			}
		})
	}
	fmt.Fprint(conn, strings.Repeat("x", 5000)) // no request at all: the line is hung up
	if _, err := in.ReadByte(); err == nil {
		t.Error("something was answered")
	}
	again, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if _, body := readDisk(t, s.Disk); body != string(want)+"\n" {
		t.Errorf("disk holds %q", body)
	}
	var doc document
	if err := xml.Unmarshal(want, &doc); err != nil || len(doc.Metrics) != 17 {
		t.Errorf("%d figures, %v", len(doc.Metrics), err)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET /metrics/XML\n\nGET /metrics/XML\r\n\r\n"))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReaderSize(bytes.NewReader(data), 4096)
		for range len(data) + 1 {
			if _, err := readRequest(in); err != nil {
				return
			}
		}
		t.Error("a request without bytes")
	})
}
