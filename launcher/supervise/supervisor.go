package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Times of the supervisor; variables, so that tests need not wait.
var (
	firstBackOff = 50 * time.Millisecond
	mostBackOff  = 5 * time.Second
	// A launcher that lived this long is started again without a pause.
	longLife = 10 * time.Second
	// reportTime is what the launcher has, from QEMU's end on, to tell the node agent of it.
	reportTime = 5 * time.Second
	// partingTime lies between a process being asked to end and being killed.
	partingTime = 2 * time.Second
	// graceMargin is added to the guest's grace period before the supervisor itself acts: the launcher comes first.
	graceMargin = 3 * time.Second
)

// stderrTail is how much of QEMU's last words is kept.
const stderrTail = 4 << 10

// Options say what to supervise.
type Options struct {
	// Launcher is the command line of the launcher; LauncherFD is the number under which it finds the line to the
	// supervisor, which begins at 3.
	Launcher []string
	// TerminationLog is where the termination message goes; empty: nowhere.
	TerminationLog string
	// Grace is the guest's time to power down until QEMU was started with one of its own.
	Grace time.Duration
	// Console serves the serial console of a guest that has one.
	Console Console
	Log     *slog.Logger
}

// Console serves a serial console.
type Console interface {
	// Serve waits for QEMU to connect to the socket port and serves clients on another, and on the socket history those that want
	// to see what was before; a second call does nothing.
	Serve(port, clients, history string) error
}

// LauncherFD is the file descriptor of the line in the launcher.
const LauncherFD = 3

// supervisor does everything in one goroutine, Run's.
type supervisor struct {
	Options
	status Status

	launcherPID int
	launcherUp  time.Time
	line        *line
	backOff     time.Duration
	restartAt   <-chan time.Time

	requests chan fromLine
	output   tail
	outputAt chan struct{} // closed when QEMU's stderr was read to its end

	// helpers are the names of those that run, by process id.
	helpers map[int]string

	grace    time.Duration
	killAt   <-chan time.Time
	killStep int
	finished bool
	// podTerminated is set by an end of the pod that comes before QEMU's.
	podTerminated bool
	outcome       *Outcome
	endAt         <-chan time.Time
}

// Run supervises until QEMU has ended, or the process is told before QEMU was started that the pod is to end: by a signal,
// or by a launcher that gives up. It gives the exit code of the pod. It keeps its thread: its children are killed when that ends.
func Run(o Options) (int, error) {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	s := &supervisor{Options: o, requests: make(chan fromLine), backOff: firstBackOff, grace: o.Grace, output: tail{most: stderrTail}}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	defer signal.Stop(signals)
	if err := s.startLauncher(); err != nil {
		return 1, err
	}
	for !s.done() {
		select {
		case sig := <-signals:
			if sig == syscall.SIGCHLD {
				s.reap()
				continue
			}
			s.terminate()
		case r := <-s.requests:
			s.handle(r)
		case <-s.restartAt:
			s.restartAt = nil
			if err := s.startLauncher(); err != nil {
				s.Log.Error("Could not start launcher", "err", err)
				s.scheduleRestart()
			}
		case <-s.killAt:
			s.killQEMU()
		case <-s.endAt:
			s.Log.Warn("Launcher did not report QEMU's end in time")
			s.finished = true
		}
	}
	s.stopLauncher(signals)
	return s.conclude(), nil
}

// done tells whether there is nothing left to supervise.
func (s *supervisor) done() bool {
	if s.status.QEMU == nil {
		return s.status.TerminateBy != nil || s.finished
	}
	return s.status.QEMU.Exit != nil && s.finished
}

// startLauncher starts the launcher with a fresh line.
func (s *supervisor) startLauncher() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making the line to the launcher: %w", err)
	}
	defer unix.Close(fds[1])
	pid, err := forkExec("/proc/self/exe", s.Launcher, os.Environ(), []uintptr{0, 1, 2, uintptr(fds[1])})
	if err != nil {
		unix.Close(fds[0])
		return fmt.Errorf("starting the launcher: %w", err)
	}
	l, err := newLine(fds[0], s.requests)
	if err != nil {
		unix.Close(fds[0])
		return errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
	}
	if !s.launcherUp.IsZero() {
		s.status.Restarts++
	}
	s.launcherPID, s.launcherUp, s.line = pid, time.Now(), l
	s.Log.Info("Started launcher", "pid", pid, "restarts", s.status.Restarts)
	return nil
}

// forkExec starts a process that is killed when the supervisor's thread ends.
func forkExec(path string, argv, env []string, files []uintptr) (int, error) {
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: env, Files: files, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
	})
}

// reap takes the exit status of each process that has ended, those of strangers included.
func (s *supervisor) reap() {
	for {
		var w syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &w, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		switch {
		case pid == s.launcherPID:
			s.launcherEnded(w)
		case s.status.QEMU != nil && pid == s.status.QEMU.PID && s.status.QEMU.Exit == nil:
			s.qemuEnded(w)
		case s.helpers[pid] != "":
			s.helperEnded(pid, w)
		}
	}
}

func (s *supervisor) launcherEnded(w syscall.WaitStatus) {
	level := slog.LevelWarn
	if s.finished {
		level = slog.LevelInfo
	}
	s.Log.Log(context.Background(), level, "Launcher ended", "pid", s.launcherPID, "code", w.ExitStatus(), "signal", w.Signal().String())
	s.launcherPID = 0
	s.line.close()
	if s.finished {
		return
	}
	if time.Since(s.launcherUp) > longLife {
		s.backOff = firstBackOff
	}
	s.scheduleRestart()
}

// scheduleRestart waits for the back-off, but not when time presses.
func (s *supervisor) scheduleRestart() {
	wait := s.backOff
	s.backOff = min(2*s.backOff, mostBackOff)
	if s.status.TerminateBy != nil || s.endAt != nil {
		wait = min(wait, 10*firstBackOff)
	}
	s.restartAt = time.After(wait)
}

func (s *supervisor) qemuEnded(w syscall.WaitStatus) {
	exit := &Exit{Code: w.ExitStatus(), Killed: s.killStep > 0}
	if w.Signaled() {
		exit.Signal, exit.Code = int(w.Signal()), 128+int(w.Signal())
	}
	// Its last words may still be on their way; a grandchild that holds the pipe must not hold up the rest.
	select {
	case <-s.outputAt:
	case <-time.After(100 * time.Millisecond):
	}
	exit.Stderr = s.output.String()
	s.status.QEMU.Exit = exit
	s.killAt = nil
	s.endHelpers()
	s.Log.Info("QEMU ended", "pid", s.status.QEMU.PID, "code", exit.Code, "signal", exit.Signal)
	s.endAt = time.After(reportTime)
	if s.launcherPID == 0 {
		s.restartAt = time.After(0)
	}
	s.tell()
}

// tell gives the launcher the new status.
func (s *supervisor) tell() {
	if s.launcherPID != 0 {
		s.line.send(reply{Status: s.status})
	}
}

// terminate begins the end of the pod.
func (s *supervisor) terminate() {
	if s.status.TerminateBy != nil {
		return
	}
	by := time.Now().Add(s.grace)
	s.status.TerminateBy = &by
	s.Log.Info("Pod is to end", "graceSeconds", s.grace.Seconds())
	s.podTerminated = s.status.QEMU == nil || s.status.QEMU.Exit == nil
	if s.status.QEMU == nil || s.status.QEMU.Exit != nil {
		return
	}
	s.killAt = time.After(s.grace + graceMargin)
	if s.launcherPID == 0 {
		s.restartAt = time.After(0)
	}
	s.tell()
}

// killQEMU asks QEMU to end, which lets it close its images, and soon kills it.
func (s *supervisor) killQEMU() {
	sig := syscall.SIGTERM
	if s.killStep > 0 {
		sig = syscall.SIGKILL
	}
	s.killStep++
	s.Log.Warn("Ending QEMU, grace period has passed", "signal", sig.String())
	s.signalQEMU(sig)
	s.killAt = time.After(partingTime)
}

func (s *supervisor) signalQEMU(sig syscall.Signal) error {
	if s.status.QEMU == nil || s.status.QEMU.Exit != nil {
		return nil
	}
	// Its exit status was not taken yet, so the number is still its own.
	return syscall.Kill(s.status.QEMU.PID, sig)
}

// conclude writes the termination message and gives the exit code.
func (s *supervisor) conclude() int {
	// A pod without a guest has not done what it was made for, whoever ends it.
	t := Termination{Reason: "NotStarted", ExitCode: 1, Restarts: s.status.Restarts}
	if s.outcome != nil {
		t.Reason, t.Message = s.outcome.Reason, s.outcome.Message
	}
	if q := s.status.QEMU; q != nil && q.Exit != nil {
		t = Termination{Reason: "GuestShutdown", ExitCode: q.Exit.Code, Signal: q.Exit.Signal, Stderr: q.Exit.Stderr, Restarts: s.status.Restarts}
		switch {
		case s.outcome != nil:
			t.Reason, t.Message = s.outcome.Reason, s.outcome.Message
			switch {
			case s.outcome.Expected:
				t.ExitCode = 0
			case t.ExitCode == 0:
				// QEMU ended in order but the guest did not: a watchdog has switched it off.
				t.ExitCode = 1
			}
		case q.Exit.Killed:
			t.Reason, t.ExitCode = "GracePeriodExceeded", 0
		case q.Exit.Code != 0:
			t.Reason = "QEMUFailed"
		case s.status.TerminateBy == nil:
			// A guest that powered down and one whose watchdog switched it off leave the same exit code. Who takes a guest that
			// failed for one that has done its work never starts it again.
			t.Reason, t.ExitCode = "EndUnknown", 1
			t.Message = "QEMU ended and no launcher has told whether the guest powered down"
		}
	}
	t.PodTerminated = s.podTerminated
	if err := writeTermination(s.TerminationLog, t); err != nil {
		s.Log.Error("Could not write termination message", "err", err)
	}
	return t.ExitCode
}

// maxTermination is what the kubelet reads of a termination message.
const maxTermination = 4096

func writeTermination(path string, t Termination) error {
	if path == "" {
		return nil
	}
	for {
		raw, err := json.Marshal(t)
		if err != nil {
			return err
		}
		if len(raw) <= maxTermination {
			// Not made anew: the kubelet has mounted the file.
			return os.WriteFile(path, raw, 0o644)
		}
		if over := len(raw) - maxTermination; len(t.Stderr) > over {
			t.Stderr = t.Stderr[over:]
		} else if t.Stderr != "" {
			t.Stderr = ""
		} else {
			t.Message = t.Message[:len(t.Message)/2]
		}
	}
}

// stopLauncher asks the launcher to end and takes whatever still ends.
func (s *supervisor) stopLauncher(signals <-chan os.Signal) {
	s.finished, s.restartAt = true, nil
	if s.launcherPID != 0 {
		syscall.Kill(s.launcherPID, syscall.SIGTERM)
	}
	parting := time.After(partingTime)
	for s.launcherPID != 0 {
		select {
		case <-signals:
			s.reap()
		case r := <-s.requests:
			s.handle(r)
		case <-parting:
			syscall.Kill(s.launcherPID, syscall.SIGKILL)
			parting = time.After(partingTime)
		}
	}
}
