package machine

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Delays before a service is started again. A service that ran for a while begins with the first.
const (
	firstRestart = 200 * time.Millisecond
	lastRestart  = 5 * time.Second
	ranWell      = 30 * time.Second
)

// supervisor keeps services running and reaps every child of process 1, services and orphans alike. There is
// one wait for all of them, because a second one could steal the result of the first.
type supervisor struct {
	spec     *Spec
	log      *slog.Logger
	listener *os.File

	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus
}

// run returns when ctx ends.
func (s *supervisor) run(ctx context.Context) {
	s.waiting = make(map[int]chan syscall.WaitStatus)
	child := make(chan os.Signal, 1)
	signal.Notify(child, syscall.SIGCHLD)
	for i := range s.spec.Services {
		go s.keep(ctx, &s.spec.Services[i])
	}
	for {
		s.reap()
		select {
		case <-ctx.Done():
			return
		case <-child:
		}
	}
}

// reap takes all children that have ended. The lock makes it wait for a start that is under way, so that a
// service which ends at once is known by then.
func (s *supervisor) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
		if done, ok := s.waiting[pid]; ok {
			delete(s.waiting, pid)
			done <- status
		}
	}
}

func (s *supervisor) keep(ctx context.Context, service *Service) {
	log := s.log.With("service", service.Name)
	delay := firstRestart
	for ctx.Err() == nil {
		if err := waitFor(ctx, service.WaitFor, log); err != nil {
			return
		}
		started := time.Now()
		done, err := s.start(service)
		if err != nil {
			log.Error("Could not start service", "err", err)
		} else {
			log.Info("Started service")
			select {
			case <-ctx.Done():
				return
			case status := <-done:
				s.note(service, 0)
				log.Warn("Service ended", "exitStatus", status.ExitStatus(), "signal", signalName(status),
					"after", time.Since(started).Round(time.Millisecond).String())
			}
		}
		if time.Since(started) > ranWell {
			delay = firstRestart
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		delay = min(2*delay, lastRestart)
	}
}

func signalName(status syscall.WaitStatus) string {
	if status.Signaled() {
		return unix.SignalName(status.Signal())
	}
	return ""
}

func (s *supervisor) start(service *Service) (<-chan syscall.WaitStatus, error) {
	if err := os.MkdirAll(s.spec.LogDir, dirMode); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(filepath.Join(s.spec.LogDir, service.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(service.Args[0], service.Args[1:]...)
	cmd.Env = append(os.Environ(), s.spec.Env...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	// A session of its own, so that a signal to the group of one service never meets another.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if service.Listener {
		if s.listener == nil {
			return nil, errors.New("machine was started without a listening socket")
		}
		cmd.ExtraFiles = []*os.File{s.listener}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan syscall.WaitStatus, 1)
	s.waiting[cmd.Process.Pid] = done
	s.note(service, cmd.Process.Pid)
	_ = cmd.Process.Release()
	return done, nil
}

// note writes down the number of a running service, or that it does not run.
func (s *supervisor) note(service *Service, pid int) {
	file := filepath.Join(pidDir, service.Name+".pid")
	if pid == 0 {
		_ = os.Remove(file)
		return
	}
	err := os.MkdirAll(pidDir, dirMode)
	if err == nil {
		err = os.WriteFile(file, []byte(strconv.Itoa(pid)+"\n"), 0o644)
	}
	if err != nil {
		s.log.Warn("Could not note the service's process", "service", service.Name, "err", err)
	}
}
