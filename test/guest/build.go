package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/progress"
	"github.com/virtplane/virtplane/test/image"
)

// buildTimeout bounds one recipe; a slow mirror is the slowest part.
const buildTimeout = 30 * time.Minute

// Result is one thing that was built, now or earlier.
type Result struct {
	Name string `json:"name"`
	// Dir holds the result's files.
	Dir string `json:"dir"`
	// Built says that it was made by this call, not found.
	Built  bool    `json:"built"`
	Images []Image `json:"images,omitempty"`
}

// Image is an image archive in a result.
type Image struct {
	Ref     string `json:"ref"`
	Archive string `json:"archive"`
}

// File is the path of one of the result's files.
func (r Result) File(name string) string { return filepath.Join(r.Dir, name) }

// Builder builds.
type Builder struct {
	// Cache is the folder of the results.
	Cache string
	// Apt is the folder of apt's configuration, from which the sources are read.
	Apt   string
	Print *progress.Printer
}

// New gives a builder over the user's cache that prints its steps to p.
func New(p *progress.Printer) (*Builder, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding the cache folder: %w: set XDG_CACHE_HOME", err)
	}
	return &Builder{Cache: filepath.Join(cache, "virtplane", "images"), Apt: "/etc/apt", Print: p}, nil
}

// Build returns the results with these names, all of them if there are none, and builds those that the cache
// lacks.
func (b *Builder) Build(ctx context.Context, names ...string) ([]Result, error) {
	if len(names) == 0 {
		names = Names()
	}
	var results []Result
	for _, name := range names {
		r, err := lookUp(name)
		if err != nil {
			return nil, err
		}
		result, err := b.one(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", name, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// Cached returns a result only if it is in the cache.
func (b *Builder) Cached(name string) (Result, bool, error) {
	r, err := lookUp(name)
	if err != nil {
		return Result{}, false, err
	}
	return b.cached(r)
}

func (b *Builder) cached(r recipe) (Result, bool, error) {
	result, err := b.result(r)
	if err != nil {
		return Result{}, false, err
	}
	_, err = os.Stat(result.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return result, false, nil
	}
	return result, err == nil, err
}

func (b *Builder) result(r recipe) (Result, error) {
	key, err := r.key()
	if err != nil {
		return Result{}, err
	}
	result := Result{Name: r.name, Dir: filepath.Join(b.Cache, resultPrefix(r.name)+key)}
	for _, p := range r.images {
		result.Images = append(result.Images, Image{
			Ref:     p.spec("").Ref,
			Archive: result.File(p.name + ".tar"),
		})
	}
	return result, nil
}

// resultPrefix keeps results apart from other things in the cache and from names that begin alike.
func resultPrefix(name string) string { return "guest." + name + "." }

func (b *Builder) one(ctx context.Context, r recipe) (Result, error) {
	if result, ok, err := b.cached(r); ok || err != nil {
		if ok {
			b.Print.Line("✓ %s (found)", r.name)
		}
		return result, err
	}
	if err := os.MkdirAll(b.Cache, 0o755); err != nil {
		return Result{}, err
	}
	var part Result
	if r.part != "" {
		p, err := lookUp(r.part)
		if err != nil {
			return Result{}, err
		}
		if part, err = b.one(ctx, p); err != nil {
			return Result{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	unlock, err := b.lock(ctx, r.name)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	// Another process may have built it while this one waited.
	result, ok, err := b.cached(r)
	if ok || err != nil {
		return result, err
	}
	work, err := os.MkdirTemp(b.Cache, ".build-"+r.name+"-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(work)
	err = b.Print.Step(r.name+" built", func() (string, error) { return "", b.build(ctx, r, result, work, part.Dir) })
	if err != nil {
		return Result{}, err
	}
	result.Built = true
	return result, b.removeOld(r.name, result.Dir)
}

// build makes the result's folder inside work and moves it to its place when it is whole; part is the folder of the
// recipe's part.
func (b *Builder) build(ctx context.Context, r recipe, result Result, work, part string) error {
	out := filepath.Join(work, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return err
	}
	if err := b.runScript(ctx, r, work, part, out); err != nil {
		return err
	}
	if r.assemble != nil {
		if err := r.assemble(ctx, out); err != nil {
			return fmt.Errorf("assembling the disk: %w", err)
		}
	}
	for _, p := range r.images {
		if _, err := image.Build(p.spec(out), filepath.Join(out, p.name+".tar")); err != nil {
			return err
		}
	}
	if err := os.Rename(out, result.Dir); err != nil {
		return fmt.Errorf("keeping the result: %w", err)
	}
	return nil
}

func (b *Builder) runScript(ctx context.Context, r recipe, work, part, out string) error {
	src := filepath.Join(work, "recipe")
	if err := os.CopyFS(src, r.files); err != nil {
		return fmt.Errorf("writing the recipe: %w", err)
	}
	sources := filepath.Join(work, "sources.list")
	args := []string{filepath.Join(src, r.script)}
	for _, a := range r.args {
		switch a {
		case outArg:
			a = out
		case partArg:
			a = part
		case sourcesArg:
			if err := writeSources(b.Apt, sources); err != nil {
				return err
			}
			a = sources
		}
		args = append(args, a)
	}
	logPath := filepath.Join(b.Cache, r.name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "bash", args...)
	cmd.Stdout, cmd.Stderr = log, log
	// A root file system does not fit into every /tmp.
	cmd.Env = append(os.Environ(), "TMPDIR="+work, "LC_ALL=C")
	// Scripts remove their own temporary files and mounts when they are told to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		b.Print.Tail(logPath)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("%s %s: %w", r.script, strings.Join(r.args, " "), err)
	}
	return nil
}

// lock makes processes that would build the same thing take turns.
func (b *Builder) lock(ctx context.Context, name string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(b.Cache, "."+name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	said := false
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		if !said {
			b.Print.Line("• %s is being built by another process, waiting", name)
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another process to build %s: %w", name, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// keptOld is how long results of other versions of a recipe stay: another checkout may use them.
const keptOld = 14 * 24 * time.Hour

func (b *Builder) removeOld(name, current string) error {
	old, err := filepath.Glob(filepath.Join(b.Cache, resultPrefix(name)+"*"))
	if err != nil {
		return err
	}
	for _, dir := range slices.DeleteFunc(old, func(d string) bool { return d == current }) {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < keptOld {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing an old result: %w", err)
		}
	}
	return nil
}
