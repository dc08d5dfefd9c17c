package supervise

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helped is a "QEMU" that reads from a helper, which takes its time before it looks at its socket.
func helped(socket string, broken bool) Spawn {
	s := Spawn{
		Path: "/proc/self/exe", Args: []string{"play-qemu", socket}, Env: []string{"SUPERVISE_TEST=x"}, GraceSeconds: 60,
		Helpers: []Helper{{Name: "helper", Path: "/proc/self/exe", Args: []string{"play-helper", socket}, Listen: socket}},
	}
	if broken {
		s.Helpers = append(s.Helpers, Helper{Name: "the other", Path: "/does/not/exist"})
	}
	return s
}

func play(part, socket string) {
	if part == "play-helper" {
		time.Sleep(100 * time.Millisecond)
		l, err := net.FileListener(os.NewFile(HelperFD, "socket"))
		if err != nil {
			panic(err)
		}
		conn, err := l.Accept()
		if err != nil {
			panic(err)
		}
		fmt.Fprint(conn, os.Getpid())
		conn.Close()
		select {} // until it is told to end
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		panic(err)
	}
	raw, err := io.ReadAll(conn)
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(socket+".pid", raw, 0o600); err != nil {
		panic(err)
	}
}

func TestHelper(t *testing.T) {
	dir, err := os.MkdirTemp("", "supervise-") // a test's own folder has too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	if err := os.WriteFile(socket, nil, 0o600); err != nil { // left by an earlier one
		t.Fatal(err)
	}
	cmd, termination := supervised(t, "helped", socket)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := termined(t, termination); got.Reason != "Told" || got.ExitCode != 0 {
		t.Errorf("termination %+v", got)
	}
	raw, err := os.ReadFile(socket + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(raw), &pid); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	for deadline := time.Now().Add(10 * time.Second); unix.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(state), ") Z ") {
			break // it has ended; whose child it is now does not matter
		}
		if time.Now().After(deadline) {
			t.Fatal("the helper outlives QEMU")
		}
	}
}

func TestHelperThatDoesNotStart(t *testing.T) {
	dir, err := os.MkdirTemp("", "supervise-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd, termination := supervised(t, "badly-helped", filepath.Join(dir, "s"))
	if err := cmd.Wait(); err == nil {
		t.Error("the pod has succeeded")
	}
	if got := termined(t, termination); got.Reason != "NoHelp" || got.Message != "spawn: starting the other: /does/not/exist: no such file or directory" {
		t.Errorf("termination %+v", got)
	}
}

func termined(t *testing.T, file string) Termination {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got Termination
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	return got
}
