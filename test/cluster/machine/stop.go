package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Stop kills process 1 and with it every process of the machine, and waits until they are gone. A record
// whose process is gone already is no error.
func Stop(ctx context.Context, r Record) error {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping machine %s: opening process %d: %w", r.Name, r.PID, err)
	}
	defer unix.Close(fd)
	// The descriptor holds one process; only now it is certain that the number was not given away in between.
	if !r.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stopping machine %s: killing process %d: %w", r.Name, r.PID, err)
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("stopping machine %s: %w", r.Name, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stopping machine %s: process %d is still there: %w", r.Name, r.PID, ctx.Err())
		}
	}
}

// Command runs args inside the machine: in all its namespaces and in its root directory.
func Command(ctx context.Context, r Record, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(r.PID), "--net", "--pid", "--mount", "--uts", "--ipc", "--root", "--wd", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Env = append(environment(), "HOME=/root", "TERM="+os.Getenv("TERM"))
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// NetCommand runs a program of the host in the machine's network namespace only.
func NetCommand(ctx context.Context, r Record, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(r.PID), "--net", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Path is how the host reaches a file of a running machine.
func Path(r Record, path string) string {
	return fmt.Sprintf("/proc/%d/root%s", r.PID, path)
}
