package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The test program plays the first process and the launcher as well.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("SUPERVISE_TEST") == "":
		os.Exit(m.Run())
	case len(os.Args) > 1 && os.Args[0] == "launcher":
		playLauncher(os.Args[1], os.Args[2:])
	case len(os.Args) > 2 && strings.HasPrefix(os.Args[1], "play-"):
		play(os.Args[1], os.Args[2])
	default:
		graceMargin, partingTime, reportTime = 0, 200*time.Millisecond, 2*time.Second
		if os.Args[1] == "late" {
			graceMargin = time.Minute
		}
		code, err := Run(Options{
			Launcher: append([]string{"launcher"}, os.Args[1:]...), TerminationLog: os.Getenv("SUPERVISE_TEST"),
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
}

// playLauncher has "QEMU" started as the shell script of the command line and then does what the part says.
func playLauncher(part string, script []string) {
	c, err := Attach(LauncherFD)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	before, err := c.Status(ctx)
	if err != nil {
		panic(err)
	}
	switch part {
	case "idle":
		<-c.Gone()
		return
	case "give-up":
		if err := c.Finish(ctx, Outcome{Reason: "ImageMissing", Message: "no disk"}); err != nil {
			panic(err)
		}
		if _, err := c.Spawn(ctx, Spawn{Path: "/bin/sh", Args: []string{"-c", "sleep 60"}}); err == nil {
			panic("QEMU was started after the end")
		}
		<-c.Gone()
		return
	}
	grace := map[string]int64{"normal": 60}[part]
	spawn := Spawn{Path: "/bin/sh", Args: append([]string{"-c"}, script...), GraceSeconds: grace}
	if part == "helped" || part == "badly-helped" {
		spawn = helped(script[0], part == "badly-helped")
	}
	if _, err := c.Spawn(ctx, spawn); err != nil {
		if part == "badly-helped" {
			c.Finish(ctx, Outcome{Reason: "NoHelp", Message: err.Error()})
			return
		}
		panic(err)
	}
	switch {
	case part == "die-first" && before.QEMU == nil:
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case part == "die-always":
		os.Exit(1)
	case part == "deaf":
		select {}
	}
	for {
		s := before
		if s.QEMU == nil || s.QEMU.Exit == nil {
			select {
			case s = <-c.Changes():
			case <-c.Gone():
				return
			}
		}
		switch {
		case s.QEMU.Exit != nil:
			c.Finish(ctx, Outcome{Expected: s.QEMU.Exit.Code == 0 && part != "watchdog", Reason: "Told", Message: "by the launcher"})
			<-c.Gone()
			return
		case s.TerminateBy != nil:
			if part == "late" {
				time.Sleep(300 * time.Millisecond) // it ends the guest when the grace period has passed
			}
			c.Signal(ctx, syscall.SIGUSR1)
		}
	}
}

// supervised starts the first process.
func supervised(t *testing.T, part string, script ...string) (cmd *exec.Cmd, termination string) {
	t.Helper()
	termination = filepath.Join(t.TempDir(), "termination-log")
	cmd = exec.Command("/proc/self/exe", append([]string{part}, script...)...)
	cmd.Env = append(os.Environ(), "SUPERVISE_TEST="+termination)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, termination
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name, part, script string
		code               int
		want               Termination
	}{
		{"guest powers down", "normal", "exit 0", 0, Termination{Reason: "Told", Message: "by the launcher"}},
		{"QEMU fails", "normal", "echo lost its mind >&2; exit 3", 3, Termination{Reason: "Told", Message: "by the launcher", ExitCode: 3, Stderr: "lost its mind"}},
		{"guest fails though QEMU does not", "watchdog", "exit 0", 1, Termination{Reason: "Told", Message: "by the launcher", ExitCode: 1}},
		{"QEMU is killed", "normal", "kill -9 $$", 137, Termination{Reason: "Told", Message: "by the launcher", ExitCode: 137, Signal: 9}},
		{"launcher dies meanwhile", "die-first", "sleep 0.3; exit 4", 4, Termination{Reason: "Told", Message: "by the launcher", ExitCode: 4, Restarts: 1}},
		{"launcher never reports", "deaf", "exit 5", 5, Termination{Reason: "QEMUFailed", ExitCode: 5}},
		{"launcher gives up", "give-up", "", 1, Termination{Reason: "ImageMissing", Message: "no disk", ExitCode: 1}},
		{"launcher never lives", "die-always", "sleep 0.3", 1, Termination{Reason: "EndUnknown", Message: "QEMU ended and no launcher has told whether the guest powered down", ExitCode: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cmd, log := supervised(t, tc.part, tc.script)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != tc.code {
				t.Errorf("exit code %d, want %d", got, tc.code)
			}
			checkTermination(t, log, tc.want, tc.part == "die-always")
		})
	}
}

func checkTermination(t *testing.T, path string, want Termination, anyRestarts bool) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got Termination
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	var opts cmp.Options
	if anyRestarts {
		opts = append(opts, cmpopts.IgnoreFields(Termination{}, "Restarts"))
	}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Error(diff)
	}
}

// waitFor polls until the file holds something.
func waitFor(t *testing.T, path string) string {
	t.Helper()
	for range 1000 {
		if raw, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(raw), "\n") {
			return strings.TrimSpace(string(raw))
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s did not appear within 10 s", path)
	return ""
}

func TestTermination(t *testing.T) {
	for _, tc := range []struct {
		name, part, script string
		code               int
		want               Termination
	}{
		{"launcher stops the guest", "normal", `trap 'exit 0' USR1; echo $$ > FILE; while :; do sleep 0.05; done`, 0, Termination{Reason: "Told", Message: "by the launcher", PodTerminated: true}},
		{"launcher ends the guest when its time has passed", "late", `trap 'exit 0' USR1; trap 'exit 9' TERM; echo $$ > FILE; while :; do sleep 0.05; done`, 0, Termination{Reason: "Told", Message: "by the launcher", PodTerminated: true}},
		{"QEMU ends when asked", "deaf", `trap 'exit 0' TERM; echo $$ > FILE; while :; do sleep 0.05; done`, 0, Termination{Reason: "GracePeriodExceeded", PodTerminated: true}},
		{"QEMU must be killed", "deaf", `trap '' TERM; echo $$ > FILE; while :; do sleep 0.05; done`, 0, Termination{Reason: "GracePeriodExceeded", Signal: 9, PodTerminated: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "up")
			cmd, log := supervised(t, tc.part, strings.ReplaceAll(tc.script, "FILE", file))
			waitFor(t, file)
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != tc.code {
				t.Errorf("exit code %d, want %d", got, tc.code)
			}
			checkTermination(t, log, tc.want, false)
		})
	}
	t.Run("before QEMU was started", func(t *testing.T) {
		t.Parallel()
		cmd, log := supervised(t, "idle")
		for cmd.Process.Signal(syscall.Signal(0)) == nil {
			// The signal must not arrive before the handler stands.
			if started(cmd.Process.Pid) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 1 {
			t.Errorf("exit code %d, want 1", got)
		}
		checkTermination(t, log, Termination{Reason: "NotStarted", ExitCode: 1, PodTerminated: true}, false)
	})
}

// started tells whether any thread of a process has started another process.
func started(pid int) bool {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		if raw, _ := os.ReadFile(list); len(raw) > 0 {
			return true
		}
	}
	return false
}

func TestKilledSupervisorTakesQEMUAlong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "up")
	cmd, _ := supervised(t, "deaf", `echo $$ > `+file+`; exec sleep 600`)
	pid, err := strconv.Atoi(waitFor(t, file))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for range 1000 {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(raw), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d lives on", pid)
	syscall.Kill(pid, syscall.SIGKILL)
}

func TestClient(t *testing.T) {
	ours, theirs := net.Pipe()
	c := NewClient(ours)
	go func() {
		d, e := json.NewDecoder(theirs), json.NewEncoder(theirs)
		for {
			var r request
			if d.Decode(&r) != nil {
				return
			}
			switch r.Op {
			case opSignal:
				e.Encode(reply{ID: r.ID, Error: "no such process"})
			case opStatus:
				e.Encode(reply{Status: Status{Restarts: 1}})
				e.Encode(reply{Status: Status{Restarts: 2}})
				e.Encode(reply{ID: r.ID, Status: Status{Restarts: 2}})
			case opFinish:
				theirs.Close()
			}
		}
	}()
	if err := c.Signal(t.Context(), syscall.SIGTERM); err == nil || err.Error() != "signal: no such process" {
		t.Errorf("Signal: %v", err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.Restarts != 2 {
		t.Errorf("Status: %+v, %v", s, err)
	}
	if s := <-c.Changes(); s.Restarts != 2 {
		t.Errorf("Changes gave an old status: %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Spawn(ctx, Spawn{}); err == nil {
		t.Error("Spawn without a reply succeeded")
	}
	if err := c.Finish(t.Context(), Outcome{}); err == nil {
		t.Error("Finish succeeded though the line was cut")
	}
	<-c.Gone()
	if _, err := c.Status(t.Context()); err != ErrGone {
		t.Errorf("Status after the end: %v", err)
	}
}

func TestTail(t *testing.T) {
	tl := tail{most: 10}
	for _, s := range []string{"one\n", "two\n", "three\n", strings.Repeat("x", 30) + "\nlast\n"} {
		tl.Write([]byte(s))
	}
	if got := tl.String(); got != "last" {
		t.Errorf("got %q", got)
	}
	tl = tail{most: 10}
	tl.Write([]byte("abc\n"))
	tl.Write([]byte("\xff\n"))
	if got := tl.String(); got != "abc\n?" {
		t.Errorf("got %q", got)
	}
}

func TestTerminationFits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	want := Termination{Reason: "QEMUFailed", Message: strings.Repeat("m", 3000), Stderr: strings.Repeat("e", 5000)}
	if err := writeTermination(path, want); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) > maxTermination || len(raw) < 3000 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	want.Message = strings.Repeat("m", 9000)
	if err := writeTermination(path, want); err != nil {
		t.Fatal(err)
	}
	if raw, err = os.ReadFile(path); err != nil || len(raw) > maxTermination {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
}
