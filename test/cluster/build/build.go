// Package build makes the foreign programs of the local cluster from Go modules, once for each machine: they
// lie in a cache outside the checkout, keyed by version and by everything that goes into the build.
//
// It must not start what it builds, and it never writes into the checkout.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/sys/unix"
)

// Cache builds modules and keeps the result.
type Cache struct {
	// Dir is the folder of the cache.
	Dir string
	// Programs is test/cluster/programs of the checkout.
	Programs string
}

// DefaultDir is the cache's place on this machine.
func DefaultDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w: set XDG_CACHE_HOME", err)
	}
	return filepath.Join(base, "virtplane"), nil
}

// Result says where the programs of a module lie.
type Result struct {
	Dir     string
	Version string
	// Built is false when the cache had them.
	Built bool
}

// Path is where the cache keeps the module's programs, present or not.
func (c Cache) Path(ctx context.Context, m Module) (Result, error) {
	version, err := c.version(m)
	if err != nil {
		return Result{}, err
	}
	key, err := c.key(ctx, m)
	if err != nil {
		return Result{}, err
	}
	name := strings.Join([]string{m.Name, version, key}, "-")
	return Result{Dir: filepath.Join(c.Dir, "programs", name), Version: version}, nil
}

// Build returns the module's programs, building them when the cache has none. Two callers, in one process or
// in two, build a module once. Output of the compiler goes to log.
func (c Cache) Build(ctx context.Context, m Module, log io.Writer) (Result, error) {
	r, err := c.Path(ctx, m)
	if err != nil {
		return r, err
	}
	if complete(r.Dir, m) {
		return r, nil
	}
	if err := os.MkdirAll(filepath.Dir(r.Dir), 0o755); err != nil {
		return r, err
	}
	unlock, err := lock(r.Dir + ".lock")
	if err != nil {
		return r, err
	}
	defer unlock()
	if complete(r.Dir, m) {
		return r, nil
	}
	r.Built = true
	// What builds that were killed have left: the lock says that none is at work on it.
	pattern := filepath.Join(filepath.Dir(r.Dir), "."+filepath.Base(r.Dir)+".*")
	if left, err := filepath.Glob(pattern); err == nil {
		for _, l := range left {
			_ = os.RemoveAll(l)
		}
	}
	tmp, err := os.MkdirTemp(filepath.Dir(r.Dir), filepath.Base(pattern))
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(tmp)
	if err := c.compile(ctx, m, r.Version, tmp, log); err != nil {
		return r, fmt.Errorf("building %s %s in %s: %w", m.Name, r.Version, c.folder(m), err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return r, err
	}
	// A folder that lacks a program is left from another time: replace it.
	if err := os.RemoveAll(r.Dir); err != nil {
		return r, err
	}
	return r, os.Rename(tmp, r.Dir)
}

func (c Cache) folder(m Module) string { return filepath.Join(c.Programs, m.Name) }

// version reads the version of the module's source from its go.mod.
func (c Cache) version(m Module) (string, error) {
	if m.From == "" {
		return "v0", nil
	}
	file := filepath.Join(c.folder(m), "go.mod")
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	mod, err := modfile.ParseLax(file, b, nil)
	if err != nil {
		return "", err
	}
	for _, r := range mod.Require {
		if r.Mod.Path == m.From {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s: does not require %s", file, m.From)
}

// key hashes what decides the bytes of the programs: the module's files, flags, environment and compiler.
func (c Cache) key(ctx context.Context, m Module) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(c.folder(m), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s\n", d.Name(), len(b), b)
		return err
	})
	if err != nil {
		return "", err
	}
	version, err := exec.CommandContext(ctx, "go", "version").Output()
	if err != nil {
		return "", fmt.Errorf("go version: %w", err)
	}
	h.Write(version)
	fmt.Fprintf(h, "%q %q", flags(m, ""), environment())
	for _, p := range m.Programs {
		fmt.Fprintf(h, " %s=%s", p.Name, p.Package)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

func flags(m Module, version string) []string {
	ld := []string{"-s", "-w"}
	for _, s := range m.Stamp {
		ld = append(ld, "-X", strings.ReplaceAll(s, "{version}", version))
	}
	f := []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=" + strings.Join(ld, " ")}
	if m.Tags != "" {
		f = append(f, "-tags="+m.Tags)
	}
	return f
}

// environment pins what a user's settings could change. GOWORK would drag the module into a workspace.
func environment() []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS=linux", "GOARCH=" + runtime.GOARCH}
}

func (c Cache) compile(ctx context.Context, m Module, version, out string, log io.Writer) error {
	var bulk []string
	for _, p := range m.Programs {
		if filepath.Base(p.Package) == p.Name {
			bulk = append(bulk, p.Package)
		}
	}
	// One go build for all programs whose folder has their name; it compiles shared packages once.
	if len(bulk) > 0 {
		if err := c.goBuild(ctx, m, version, out+string(filepath.Separator), bulk, log); err != nil {
			return err
		}
	}
	for _, p := range m.Programs {
		if filepath.Base(p.Package) != p.Name {
			if err := c.goBuild(ctx, m, version, filepath.Join(out, p.Name), []string{p.Package}, log); err != nil {
				return err
			}
		}
	}
	if !complete(out, m) {
		return errors.New("go build left a program out")
	}
	return nil
}

func (c Cache) goBuild(ctx context.Context, m Module, version, out string, packages []string, log io.Writer) error {
	args := append([]string{"build", "-o", out}, flags(m, version)...)
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = c.folder(m)
	cmd.Env = append(os.Environ(), environment()...)
	var tail bytes.Buffer
	cmd.Stderr = io.MultiWriter(log, &tail)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLines(tail.String(), 5))
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

func complete(dir string, m Module) bool {
	for _, p := range m.Programs {
		if st, err := os.Stat(filepath.Join(dir, p.Name)); err != nil || st.Size() == 0 {
			return false
		}
	}
	return true
}

// lock takes a lock that ends with the process at the latest.
func lock(file string) (func(), error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", file, err)
	}
	return func() { f.Close() }, nil
}
