package app

import (
	"bytes"
	"os/exec"
	"strings"
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

	second := p.serial()
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
