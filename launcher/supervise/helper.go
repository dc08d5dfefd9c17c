package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// startHelpers starts all or none.
func (s *supervisor) startHelpers(list []Helper, null uintptr) error {
	for _, h := range list {
		if err := s.startHelper(h, null); err != nil {
			s.endHelpers()
			return fmt.Errorf("starting %s: %w", h.Name, err)
		}
	}
	return nil
}

func (s *supervisor) startHelper(h Helper, null uintptr) error {
	files := []uintptr{null, os.Stderr.Fd(), os.Stderr.Fd()}
	if h.Listen != "" {
		fd, err := listen(h.Listen)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		files = append(files, uintptr(fd))
	}
	pid, err := forkExec(h.Path, append([]string{h.Path}, h.Args...), os.Environ(), files)
	if err != nil {
		return fmt.Errorf("%s: %w", h.Path, err)
	}
	if s.helpers == nil {
		s.helpers = map[int]string{}
	}
	s.helpers[pid] = h.Name
	s.Log.Info("Started helper", "name", h.Name, "pid", pid)
	return nil
}

// listen makes a unix socket in the place of what may be left of an earlier one.
func listen(path string) (int, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("making a socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("making socket %s: %w", path, err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("listening on %s: %w", path, err)
	}
	return fd, nil
}

// endHelpers asks those that still run to end. The end of the supervisor's thread kills what does not.
func (s *supervisor) endHelpers() {
	for pid, name := range s.helpers {
		// Its exit status was not taken yet, so the number is still its own.
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			s.Log.Debug("Could not end helper", "name", name, "err", err)
		}
	}
}

func (s *supervisor) helperEnded(pid int, w syscall.WaitStatus) {
	level := slog.LevelError
	if q := s.status.QEMU; q == nil || q.Exit != nil {
		level = slog.LevelInfo
	}
	s.Log.Log(context.Background(), level, "Helper ended", "name", s.helpers[pid], "pid", pid, "code", w.ExitStatus(), "signal", w.Signal().String())
	delete(s.helpers, pid)
}
