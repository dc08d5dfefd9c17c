package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fewDescriptors is what the tests of deep trees may have open. The driver in a cluster has many more, and shares them with all its volumes.
const fewDescriptors = 256

// limitDescriptors holds the process to fewDescriptors while a test runs.
func limitDescriptors(t *testing.T) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: fewDescriptors, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &before) })
}

// within fails a test that takes longer than any machine needs for work in proportion to the tree.
func within(t *testing.T, limit time.Duration, what string, do func() error) {
	t.Helper()
	start := time.Now()
	if err := do(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if took := time.Since(start); took > limit {
		t.Errorf("%s took %s, more than %s", what, took, limit)
	}
}

// chain makes directories below each other, with a name for each level, and calls then with each one's descriptor.
func chain(t *testing.T, top string, levels int, name func(int) string, then func(fd, level int)) {
	t.Helper()
	fd, err := unix.Open(top, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for level := range levels {
		if err := unix.Mkdirat(fd, name(level), 0o700); err != nil {
			t.Fatal(err)
		}
		below, err := unix.Openat(fd, name(level), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		_ = unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		fd = below
		if then != nil {
			then(fd, level)
		}
	}
	_ = unix.Close(fd)
}

func same(name string) func(int) string { return func(int) string { return name } }

// treeDir is a place for trees: in memory where there is one, since a disk takes minutes for what these tests make. What a failed test leaves goes in the end, which the testing package cannot do if it is deep.
func treeDir(t *testing.T) string {
	t.Helper()
	base := "/dev/shm"
	if unix.Access(base, unix.W_OK) != nil {
		base = os.TempDir()
	}
	path, err := os.MkdirTemp(base, "pool-test-")
	must(t, err)
	t.Cleanup(func() {
		parent, err := os.Open(base)
		must(t, err)
		defer func() { _ = parent.Close() }()
		if err := removeTree(int(parent.Fd()), filepath.Base(path)); err != nil {
			t.Error(err)
		}
	})
	return path
}

// hostile are trees that users can make in their volumes: what they hold, and whether that can be measured.
var hostile = []struct {
	name    string
	fill    func(t *testing.T, volume string)
	inodes  int64
	tooDeep bool
}{
	{"nothing", func(*testing.T, string) {}, 1, false},
	{"as deep as a path goes", func(t *testing.T, v string) { chain(t, v, maxDepth, same("d"), nil) }, maxDepth + 1, false},
	{"one deeper", func(t *testing.T, v string) { chain(t, v, maxDepth+1, same("d"), nil) }, 0, true},
	{"very deep", func(t *testing.T, v string) { chain(t, v, 50_000, same("d"), nil) }, 0, true},
	{"long names", func(t *testing.T, v string) { chain(t, v, 1000, same(strings.Repeat("n", 255)), nil) }, 1001, false},
	{"any bytes", func(t *testing.T, v string) {
		names := []string{"\n", " ", "-rf", "*", "\xff\xfe", "...", "a\\", "\x01"}
		chain(t, v, 200, func(level int) string { return names[level%len(names)] }, nil)
	}, 201, false},
	{"files on each level", func(t *testing.T, v string) {
		chain(t, v, 300, same("d"), func(fd, _ int) {
			for _, name := range []string{"a", "d~", "z"} {
				must(t, unix.Mknodat(fd, name, unix.S_IFREG|0o600, 0))
			}
			must(t, unix.Symlinkat("..", fd, "back"))
		})
	}, 301 + 4*300, false},
	{"many chains side by side", func(t *testing.T, v string) {
		for i := range 100 {
			side := filepath.Join(v, fmt.Sprintf("d%d", i))
			must(t, os.Mkdir(side, 0o700))
			chain(t, side, 3*openAtOnce, same("d"), nil)
		}
	}, 1 + 100 + 100*3*openAtOnce, false},
	{"many chains below each other", func(t *testing.T, v string) {
		chain(t, v, 2*openAtOnce, same("d"), func(fd, _ int) {
			here := fmt.Sprintf("/proc/self/fd/%d", fd)
			for i := range 3 {
				side := filepath.Join(here, fmt.Sprintf("side%d", i))
				must(t, os.Mkdir(side, 0o700))
				chain(t, side, 2*openAtOnce, same("s"), nil)
			}
		})
	}, 1 + 2*openAtOnce*(1+3*(1+2*openAtOnce)), false},
	{"wide", func(t *testing.T, v string) {
		for i := range 20_000 {
			must(t, unix.Mknod(filepath.Join(v, fmt.Sprintf("file-%d", i)), unix.S_IFREG|0o600, 0))
		}
	}, 20_001, false},
	{"wide in directories", func(t *testing.T, v string) {
		for i := range 3000 {
			must(t, os.MkdirAll(filepath.Join(v, fmt.Sprintf("d%d/e", i)), 0o700))
		}
	}, 6001, false},
	{"everything but files", func(t *testing.T, v string) {
		must(t, unix.Mkfifo(filepath.Join(v, "fifo"), 0o600))
		must(t, unix.Mknod(filepath.Join(v, "socket"), unix.S_IFSOCK|0o600, 0))
		must(t, os.Symlink("missing", filepath.Join(v, "dangling")))
		must(t, os.Symlink(".", filepath.Join(v, "loop")))
		must(t, os.Mkdir(filepath.Join(v, "closed"), 0))
	}, 6, false},
	{"links", func(t *testing.T, v string) {
		for i := range 7 {
			must(t, os.WriteFile(filepath.Join(v, fmt.Sprintf("f%d", i)), make([]byte, 4096), 0o600))
			for j := range i {
				must(t, os.MkdirAll(filepath.Join(v, fmt.Sprint(j)), 0o700))
				must(t, os.Link(filepath.Join(v, fmt.Sprintf("f%d", i)), filepath.Join(v, fmt.Sprint(j), fmt.Sprint(i))))
			}
		}
	}, 1 + 7 + 6, false},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTrees measures and removes what users can make, with few descriptors.
func TestTrees(t *testing.T) {
	for _, tc := range hostile {
		t.Run(tc.name, func(t *testing.T) {
			path := treeDir(t)
			limitDescriptors(t)
			p := open(t, path)
			defer closePools(t, p)
			must(t, create(t, "v")(p))
			tc.fill(t, filepath.Join(path, "volumes/v"))
			within(t, time.Minute, "measuring", func() error {
				usage, err := p.Usage(t.Context(), "v")
				if tc.tooDeep {
					if !errors.Is(err, ErrTooDeep) {
						t.Errorf("usage %+v, %v, want %v", usage, err, ErrTooDeep)
					}
					return nil
				}
				if usage.Inodes != tc.inodes {
					t.Errorf("usage %+v, want %d inodes", usage, tc.inodes)
				}
				return err
			})
			if c, err := p.Capacity(t.Context(), ""); err != nil || (c.Unmeasured == 1) != tc.tooDeep {
				t.Errorf("capacity %+v, %v", c, err)
			}
			within(t, time.Minute, "removing", func() error { return remove(t, "v")(p) })
			if left := found(t, path); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestRecoverTrees has such trees in all places where a crash can leave them, beside others that must be cleared away as well.
func TestRecoverTrees(t *testing.T) {
	path := treeDir(t)
	limitDescriptors(t)
	p := open(t, path)
	for _, id := range []string{"a", "v", "z"} {
		must(t, create(t, id)(p))
	}
	closePools(t, p)
	for _, dir := range []string{"trash/a-left", "trash/left", "trash/z-left", "building/left", "volumes/v"} {
		must(t, os.MkdirAll(filepath.Join(path, dir), 0o700))
		chain(t, filepath.Join(path, dir), 5000, same("d"), nil)
	}
	state := filepath.Join(path, "state/v.json")
	text, err := os.ReadFile(state)
	must(t, err)
	must(t, os.WriteFile(state, []byte(strings.Replace(string(text), `"ready"`, `"deleting"`, 1)), 0o600))
	p = open(t, path)
	defer closePools(t, p)
	within(t, time.Minute, "recovering", func() error { return p.Recover(t.Context()) })
	if left := strings.Join(found(t, path), " "); left != "state/a.json state/z.json volumes/a volumes/z" {
		t.Errorf("left: %s", left)
	}
}

// removeVolumes is what a process does that the next test kills.
func removeVolumes(path string) int {
	p, err := New([]Spec{{"local", path}}, 100)
	if err == nil {
		err = p.Recover(context.Background())
	}
	if err == nil {
		err = p.Delete(context.Background(), "v")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestKilledWhileRemoving kills the process that removes a deep and wide volume, again and again, until one gets to the end.
func TestKilledWhileRemoving(t *testing.T) {
	path := treeDir(t)
	p := open(t, path)
	must(t, create(t, "v")(p))
	must(t, create(t, "kept")(p))
	volume := filepath.Join(path, "volumes/v")
	chain(t, volume, 10_000, same("d"), func(fd, level int) {
		if level%10 == 0 {
			must(t, unix.Mkdirat(fd, "side", 0o700))
			must(t, unix.Mknodat(fd, "side/file", unix.S_IFREG|0o600, 0))
		}
	})
	must(t, os.WriteFile(filepath.Join(path, "volumes/kept/file"), nil, 0o600))
	closePools(t, p)
	kills := 0
	for ended := false; !ended; {
		life := time.Duration(10+kills*2+rand.IntN(20)) * time.Millisecond
		if kills > 60 { // on a busy machine a process takes that long to begin
			life = life * time.Duration(kills-60)
		}
		if kills == 200 {
			t.Fatalf("the removal has not ended after %d kills", kills)
		}
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), removeIn+"="+path)
		child.Stderr = os.Stderr
		must(t, child.Start())
		exited := make(chan error, 1)
		go func() { exited <- child.Wait() }()
		select {
		case err := <-exited:
			must(t, err)
			ended = true
		case <-time.After(life):
			kills++
			_ = child.Process.Signal(syscall.SIGKILL)
			<-exited
		}
	}
	t.Logf("killed %d times", kills)
	if left := strings.Join(found(t, path), " "); left != "state/kept.json volumes/kept" {
		t.Errorf("left: %s", left)
	}
	if _, err := os.Stat(filepath.Join(path, "volumes/kept/file")); err != nil {
		t.Error(err)
	}
}

// TestMountsStay mounts things in a volume: they are neither counted nor touched, and the volume goes as soon as they are gone.
func TestMountsStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	for _, place := range []string{"m", "d/m", strings.Repeat("d/", 2*flattenBelow) + "m"} {
		t.Run(fmt.Sprintf("%d levels down", strings.Count(place, "/")), func(t *testing.T) {
			path, outside := t.TempDir(), t.TempDir()
			must(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
			p := open(t, path)
			defer closePools(t, p)
			must(t, create(t, "v")(p))
			volume := filepath.Join(path, "volumes/v")
			target := filepath.Join(volume, place)
			must(t, os.MkdirAll(target, 0o700))
			must(t, os.WriteFile(filepath.Join(volume, "file"), nil, 0o600))
			// The same file system at another place, which its device number does not tell.
			must(t, unix.Mount(outside, target, "", unix.MS_BIND, ""))
			mounted := true
			unmount := func() {
				if mounted {
					must(t, unix.Unmount(target, 0))
				}
				mounted = false
			}
			t.Cleanup(func() {
				if mounted {
					_ = unix.Unmount(target, unix.MNT_DETACH)
				}
			})
			if usage, err := p.Usage(t.Context(), "v"); err != nil || usage.Inodes != int64(2+strings.Count(place, "/")) {
				t.Errorf("usage %+v, %v", usage, err)
			}
			if err := remove(t, "v")(p); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), `"m": something is mounted on it, unmount that first`) {
				t.Errorf("removing: %v", err)
			}
			if err := p.Recover(t.Context()); !errors.Is(err, unix.EBUSY) {
				t.Errorf("recovering: %v", err)
			}
			if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
				t.Error(err)
			}
			target = mountedBelow(t, path)
			unmount()
			must(t, remove(t, "v")(p))
			if left := found(t, path); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// mountedBelow finds what is mounted in a directory, wherever it has been moved to.
func mountedBelow(t *testing.T, path string) string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(table)) {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, path+"/") {
			return at
		}
	}
	t.Fatalf("nothing is mounted below %s", path)
	return ""
}

// TestNoRoomToMove has directories that cannot be moved up: those that are not too deep go, and the others are an error.
func TestNoRoomToMove(t *testing.T) {
	for levels, want := range map[int]error{flattenBelow: nil, 100: nil, 2 * deepest: unix.ENAMETOOLONG} {
		top := filepath.Join(t.TempDir(), "top")
		must(t, os.Mkdir(top, 0o700))
		chain(t, top, levels, same("d"), func(fd, _ int) { must(t, unix.Mknodat(fd, "file", unix.S_IFREG|0o600, 0)) })
		r := &removal{prefix: strings.Repeat("x", 300)}
		if err := r.remove(unix.AT_FDCWD, entry{name: top}, 0); !errors.Is(err, want) {
			t.Errorf("%d levels: %v, want %v", levels, err, want)
		}
		if _, err := os.Stat(filepath.Join(top, "file")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%d levels: a file that could be removed: %v", levels, err)
		}
		must(t, removeTree(unix.AT_FDCWD, top))
	}
}

// TestMovedWhileMeasured moves a directory away in which a measurement is, so that its ".." leads elsewhere.
func TestMovedWhileMeasured(t *testing.T) {
	for name, move := range map[string]func(volume string) error{
		"up": func(v string) error {
			return os.Rename(filepath.Join(v, strings.Repeat("d/", 5)), filepath.Join(v, "moved"))
		},
		// To where the next level up lies outside of the volume.
		"out": func(v string) error {
			return os.Rename(filepath.Join(v, strings.Repeat("d/", 5)), filepath.Join(filepath.Dir(v), "moved"))
		},
		"replaced": func(v string) error {
			return errors.Join(os.Rename(filepath.Join(v, "d"), filepath.Join(v, "e")), os.Rename(filepath.Join(v, "e", strings.Repeat("d/", 4)), filepath.Join(v, "d")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			volume := filepath.Join(base, "v")
			must(t, os.Mkdir(volume, 0o700))
			chain(t, volume, 3*openAtOnce, same("d"), nil)
			root, err := os.OpenRoot(base)
			must(t, err)
			defer func() { _ = root.Close() }()
			top, err := openVolume(root, "v")
			must(t, err)
			w := &walk{}
			defer w.close()
			w.enter(top)
			for range 3 * openAtOnce {
				dir := w.levels[len(w.levels)-1].dir
				e, found, err := dir.next()
				if !found || err != nil {
					t.Fatal(found, err)
				}
				must(t, w.visit(dir, e))
			}
			must(t, move(volume))
			for err == nil && len(w.levels) > 0 {
				err = w.leave()
			}
			if !errors.Is(err, errMoved) {
				t.Errorf("went back: %v", err)
			}
			if usage, err := (directories{}).Measure(t.Context(), root, "v"); err != nil || usage.Inodes == 0 {
				t.Errorf("measured again: %+v, %v", usage, err)
			}
		})
	}
}

// TestChangesWhileMeasured has a volume live while it is measured and removed: that is no error.
func TestChangesWhileMeasured(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	defer closePools(t, p)
	must(t, create(t, "v")(p))
	volume := filepath.Join(path, "volumes/v")
	for i := range 50 {
		must(t, os.MkdirAll(filepath.Join(volume, fmt.Sprintf("kept%d/a/b", i)), 0o700))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			name := filepath.Join(volume, fmt.Sprintf("n%d", i%20))
			_ = os.MkdirAll(filepath.Join(name, "x/y/z"), 0o700)
			_ = os.WriteFile(filepath.Join(name, "x/file"), nil, 0o600)
			_ = os.Rename(name, name+"-moved")
			_ = os.RemoveAll(name + "-moved")
		}
	}()
	root, err := os.OpenRoot(path)
	must(t, err)
	defer func() { _ = root.Close() }()
	for range 200 {
		if usage, err := (directories{}).Measure(ctx, root, "volumes/v"); err != nil || usage.Inodes < 151 {
			t.Fatalf("usage %+v, %v", usage, err)
		}
	}
	cancel()
	<-ended
}
