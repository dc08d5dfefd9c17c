package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Runner is *testing.M, or a program that needs the same surroundings; Run returns the exit code.
type Runner interface{ Run() int }

// Main runs a package's tests beside a host cluster. Call it from TestMain; start is given the running cluster.
func Main(m Runner, start func(ctx context.Context, h *Host) (stop func(), err error), options ...Option) {
	if !Inside() {
		code, err := outside()
		if err != nil {
			fmt.Fprintln(os.Stderr, "harness:", err)
		}
		os.Exit(code)
	}
	code, err := inside(m, start, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		code = 1
	}
	os.Exit(code)
}

// outside builds what the tests need, with the machine's network, and then enters the namespaces.
func outside() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	root, err := moduleRoot(ctx)
	if err != nil {
		return 1, err
	}
	if _, err := ensurePrograms(ctx, root, os.Stderr); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "virtplane-integration-")
	if err != nil {
		return 1, err
	}
	if built := os.Getenv(BuiltEnv); built != "" {
		err = os.Symlink(built, filepath.Join(dir, "bin"))
	} else {
		err = Build(ctx, root, filepath.Join(dir, "bin"))
	}
	if err != nil {
		return 1, err
	}
	if err := os.Setenv(dirEnv, dir); err != nil {
		return 1, err
	}
	code, err := enter()
	if code != 0 {
		return code, errors.Join(err, fmt.Errorf("the programs' logs are in %s", filepath.Join(dir, "logs")))
	}
	return 0, errors.Join(err, os.RemoveAll(dir))
}

// BuiltEnv names a folder in which Build has put our programs already: for those who call Main in several processes.
const BuiltEnv = "VIRTPLANE_INTEGRATION_BUILT"

const dirEnv = "VIRTPLANE_INTEGRATION_DIR"

func inside(m Runner, start func(context.Context, *Host) (func(), error), options []Option) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	root, err := moduleRoot(ctx)
	if err != nil {
		return 1, err
	}
	p, err := ensurePrograms(ctx, root, os.Stderr)
	if err != nil {
		return 1, err
	}
	if err := furnish(); err != nil {
		return 1, err
	}
	h, err := startHost(root, os.Getenv(dirEnv), p, options)
	if err != nil {
		return 1, err
	}
	defer h.Stop()
	stop, err := start(ctx, h)
	if err != nil {
		return 1, err
	}
	defer stop()
	return m.Run(), nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module's root: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// Build builds our programs into a folder; race-checked when the caller is.
func Build(ctx context.Context, root, dir string) error {
	// As the tests and the images are built, so that nothing is compiled twice.
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", dir + "/"}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/virt-api")...)
	cmd.Dir = root
	if !raceEnabled {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building our programs: %w\n%s", err, out)
	}
	return nil
}
