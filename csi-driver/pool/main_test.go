package pool

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const (
	inside = "POOL_TEST_IN_MOUNT_NAMESPACE"
	// removeIn names a pool whose volumes the process removes, instead of running tests.
	removeIn = "POOL_TEST_REMOVE_IN"
)

// TestMain gives the tests a mount namespace of their own when they may have one, so that nothing they mount outlives them.
func TestMain(m *testing.M) {
	if path := os.Getenv(removeIn); path != "" {
		os.Exit(removeVolumes(path))
	}
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := again.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "running the tests in a mount namespace:", err)
		os.Exit(1)
	}
}
