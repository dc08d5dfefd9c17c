package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/cgroup"
)

// Init is process 1 of a machine; args are those after InitArgs. It returns only with an error.
func Init(args []string) error {
	if os.Getpid() != 1 {
		return errors.New("machine-init is started by the cluster command as process 1 of a machine, not by hand")
	}
	var spec Spec
	pipe := os.NewFile(specFD, "spec")
	if err := json.NewDecoder(pipe).Decode(&spec); err != nil {
		// The one who started us is gone, or failed before it came to this.
		return fmt.Errorf("reading the machine's spec: %w", err)
	}
	if _, err := io.Copy(io.Discard, pipe); err != nil {
		return err
	}
	pipe.Close()
	if err := spec.validate(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("machine", spec.Name)
	ready := os.NewFile(readyFD, "ready")
	if err := prepare(&spec, log); err != nil {
		_, _ = io.WriteString(ready, err.Error())
		return err
	}
	var listener *os.File
	if slices.Contains(args, listenerArg) {
		unix.CloseOnExec(listenerFD)
		listener = os.NewFile(listenerFD, "listener")
	}
	if _, err := io.WriteString(ready, readyAnswer); err != nil {
		return fmt.Errorf("telling that the machine is ready: %w", err)
	}
	ready.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := &supervisor{spec: &spec, log: log, listener: listener}
	s.run(ctx)
	return errors.New("machine was told to stop")
}

func prepare(spec *Spec, log *slog.Logger) error {
	if err := resetProcess(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("setting host name: %w", err)
	}
	if err := cgroup.Join(cgroup.Mounts, spec.Cgroup); err != nil {
		return err
	}
	if err := enterRoot(spec, log); err != nil {
		return fmt.Errorf("making the root directory: %w", err)
	}
	return nil
}

// resetProcess takes off what was inherited from the shell of whoever called up, as a service manager would.
func resetProcess() error {
	unix.Umask(0o022)
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	files.Cur = files.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	return nil
}
