package app

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestConsoleIsKept has a real guest speak before anyone listens, and to its end.
func TestConsoleIsKept(t *testing.T) {
	p := newPod(t)
	var printed bytes.Buffer
	log := exec.Command(build(t), "console-log", "--socket="+p.path("private/console-log.sock"))
	log.Stdout = &printed
	if err := log.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- log.Wait() }()
	t.Cleanup(func() { log.Process.Kill() })
	p.mustSync("")
	first := p.serial()
	first.hear("boot")
	first.say("x")
	first.hear("x")
	p.killLauncher()

	second := p.serialHistory()
	second.hear("boot")
	second.hear("x")
	second.say("s") // power down
	second.hear("off")
	p.expectEnd(0, "GuestShutdown")
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the log ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the log does not end with the guest")
	}
	var out bytes.Buffer
	late := time.Now()
	if code := Run([]string{"console-log", "--socket=" + p.path("private/console-log.sock")}, &out); code != 0 || !strings.Contains(out.String(), "the guest has ended before its console was read") {
		t.Errorf("a log that comes too late: exit code %d, output %s", code, &out)
	}
	if took := time.Since(late); took > 30*time.Second {
		t.Errorf("it has waited %s", took)
	}
	if got := printed.String(); !strings.Contains(got, "boot\nx") || !strings.HasSuffix(got, "off\n") {
		t.Errorf("the log has %q", got)
	}
}

// TestConsoleLogOfNobody must not decide how its pod ends.
func TestConsoleLogOfNobody(t *testing.T) {
	var out bytes.Buffer
	if code := Run([]string{"console-log", "--socket=/nobody/here", "--wait=1ms"}, &out); code != 0 || !strings.Contains(out.String(), "nobody serves the guest's console") {
		t.Errorf("exit code %d, output %s", code, &out)
	}
}

// TestConsoleLogWaits for as long as its pod lives: the other container's image may take its time.
func TestConsoleLogWaits(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "console-log.sock")
	log := exec.Command(build(t), "console-log", "--socket="+socket)
	var out bytes.Buffer
	log.Stderr = &out
	if err := log.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- log.Wait() }()
	t.Cleanup(func() { log.Process.Kill() })
	select {
	case err := <-ended:
		t.Fatalf("it gave up: %v, %s", err, &out)
	case <-time.After(3 * time.Second):
	}
	// A first process that fails before it serves anything lets the log end, and with it the pod.
	var failure bytes.Buffer
	if code := Run([]string{"init", "--console-log=" + socket, "--fail"}, &failure); code != 1 || !strings.Contains(failure.String(), "told to fail") {
		t.Errorf("exit code %d: %s", code, &failure)
	}
	select {
	case err := <-ended:
		if err != nil || !strings.Contains(out.String(), "the guest has ended before its console was read") {
			t.Errorf("it ended with %v: %s", err, &out)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for a first process that has failed")
	}
}

// TestConsoleLogOfADeletedPod is told to end while it waits.
func TestConsoleLogOfADeletedPod(t *testing.T) {
	log := exec.Command(build(t), "console-log", "--socket="+filepath.Join(t.TempDir(), "console-log.sock"))
	if err := log.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Process.Kill() })
	time.Sleep(500 * time.Millisecond)
	if err := log.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- log.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it waits on")
	}
}
