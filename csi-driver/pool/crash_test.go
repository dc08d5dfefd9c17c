package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crashing stops the program, as far as the pool can tell, before or in the middle of one of its changes to the disk.
type crashing struct {
	files
	root string
	// left is how many changes still succeed.
	left int
	// torn lets the last write put half of its data down.
	torn bool
}

type crash struct{}

func (c *crashing) step() {
	if c.left == 0 {
		panic(crash{})
	}
	c.left--
}

func (c *crashing) Write(name string, data []byte) error {
	if c.left == 0 && c.torn {
		_ = os.WriteFile(filepath.Join(c.root, name), data[:len(data)/2], 0o600)
	}
	c.step()
	return c.files.Write(name, data)
}

func (c *crashing) Rename(from, to string) error {
	c.step()
	return c.files.Rename(from, to)
}

func (c *crashing) Mkdir(name string, mode fs.FileMode) error {
	c.step()
	return c.files.Mkdir(name, mode)
}

func (c *crashing) RemoveAll(name string) error {
	if c.left == 0 && c.torn {
		// A removal that was under way has taken some of the content.
		_ = os.Remove(filepath.Join(c.root, name, "file"))
	}
	c.step()
	return c.files.RemoveAll(name)
}

// crashAt runs f on the pools of a fresh process, lets it make so many changes and then stops. It says whether f got to its end.
func crashAt(t *testing.T, path string, changes int, torn bool, f func(*Pools) error) (finished bool) {
	t.Helper()
	p := open(t, path)
	one := p.order[0]
	one.files = &crashing{files: one.files, root: path, left: changes, torn: torn}
	defer func() {
		// The process is gone: so are its locks.
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if cause := recover(); cause != nil {
			if _, expected := cause.(crash); !expected {
				panic(cause)
			}
		}
	}()
	if err := f(p); err != nil {
		t.Fatalf("before the crash: %v", err)
	}
	return true
}

func open(t *testing.T, path string) *Pools {
	t.Helper()
	p, err := New([]Spec{{"local", path}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// found lists what is in the pool's parts.
func found(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{dirVolumes, dirState, dirBuilding, dirTrash} {
		entries, err := os.ReadDir(filepath.Join(path, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := dir + "/" + e.Name(); name != fileLock {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

const mib = 1 << 20

func create(t *testing.T, name string) func(*Pools) error {
	return func(p *Pools) error {
		unlock, err := p.Lock(VolumeID(name))
		if err != nil {
			return err
		}
		defer unlock()
		_, err = p.Create(t.Context(), CreateRequest{Name: name, MinSize: mib})
		return err
	}
}

func remove(t *testing.T, id string) func(*Pools) error {
	return func(p *Pools) error {
		unlock, err := p.Lock(id)
		if err != nil {
			return err
		}
		defer unlock()
		return p.Delete(t.Context(), id)
	}
}

// eachCrash calls f with every number of changes after which the program can stop, until nothing stops it any more.
func eachCrash(t *testing.T, f func(t *testing.T, changes int, torn bool) (finished bool)) {
	for _, torn := range []bool{false, true} {
		for changes := 0; ; changes++ {
			finished := false
			t.Run(fmt.Sprintf("after %d changes, torn %v", changes, torn), func(t *testing.T) { finished = f(t, changes, torn) })
			if finished || t.Failed() {
				if changes < 3 {
					t.Errorf("only %d changes were made", changes)
				}
				break
			}
		}
	}
}

// TestCrashWhileCreating repeats the request, as provisioners do, and wants one volume; or gives up, and wants none.
func TestCrashWhileCreating(t *testing.T) {
	eachCrash(t, func(t *testing.T, changes int, torn bool) bool {
		again, gaveUp := t.TempDir(), t.TempDir()
		for _, path := range []string{again, gaveUp} {
			crashAt(t, path, changes, torn, create(t, "pvc-1"))
		}
		p := open(t, again)
		if err := create(t, "pvc-1")(p); err != nil {
			t.Fatalf("repeated: %v", err)
		}
		v, err := p.Get(t.Context(), "pvc-1")
		if err != nil || v.Size != mib || !v.Ready {
			t.Errorf("volume %+v, %v", v, err)
		}
		if err := p.Recover(t.Context()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"state/pvc-1.json", "volumes/pvc-1"}, found(t, again)); diff != "" {
			t.Errorf("pool (-want +got):\n%s", diff)
		}
		closePools(t, p)

		p = open(t, gaveUp)
		if err := errors.Join(p.Recover(t.Context()), remove(t, "pvc-1")(p), p.Recover(t.Context())); err != nil {
			t.Fatalf("gave up: %v", err)
		}
		if left := found(t, gaveUp); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		closePools(t, p)
		return crashAt(t, t.TempDir(), changes, torn, create(t, "pvc-1"))
	})
}

// TestCrashWhileRemoving wants the removal to be finished, by whoever comes first, and never half a volume that can be mounted.
func TestCrashWhileRemoving(t *testing.T) {
	eachCrash(t, func(t *testing.T, changes int, torn bool) (finished bool) {
		for name, next := range map[string]func(*Pools) error{
			"recovered": func(p *Pools) error { return p.Recover(t.Context()) },
			"repeated":  remove(t, "pvc-1"),
			"wanted again": func(p *Pools) error {
				if _, err := p.Get(t.Context(), "pvc-1"); errors.Is(err, ErrNotFound) {
					return nil
				}
				return errors.Join(create(t, "pvc-1")(p), remove(t, "pvc-1")(p))
			},
		} {
			path := t.TempDir()
			crashAt(t, path, 1000, false, create(t, "pvc-1"))
			if err := os.WriteFile(filepath.Join(path, "volumes/pvc-1/file"), []byte("content"), 0o600); err != nil {
				t.Fatal(err)
			}
			finished = crashAt(t, path, changes, torn, remove(t, "pvc-1"))
			p := open(t, path)
			if content, err := p.OpenContent(t.Context(), "pvc-1"); err == nil {
				if _, err := os.Stat(filepath.Join(path, "volumes/pvc-1/file")); err != nil {
					t.Errorf("%s: a volume that has lost its content can be mounted", name)
				}
				_ = content.Close()
			}
			if err := errors.Join(next(p), remove(t, "pvc-1")(p), p.Recover(t.Context())); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if left := found(t, path); len(left) != 0 {
				t.Errorf("%s: left: %v", name, left)
			}
			closePools(t, p)
		}
		return finished
	})
}

// TestFailingDisk has the same operations fail instead of stop, in one process.
func TestFailingDisk(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	defer closePools(t, p)
	one := p.order[0]
	good := one.files
	for changes := range 4 {
		one.files = &failing{files: good, left: changes}
		if err := create(t, "pvc-1")(p); !errors.Is(err, errDisk) {
			t.Fatalf("after %d changes: %v", changes, err)
		}
		one.files = good
	}
	if err := create(t, "pvc-1")(p); err != nil {
		t.Fatal(err)
	}
	for changes := range 4 {
		one.files = &failing{files: good, left: changes}
		if err := remove(t, "pvc-1")(p); !errors.Is(err, errDisk) {
			t.Fatalf("after %d changes: %v", changes, err)
		}
		one.files = good
	}
	if err := remove(t, "pvc-1")(p); err != nil {
		t.Fatal(err)
	}
	if left := found(t, path); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if c, err := p.Capacity(t.Context(), ""); err != nil || c.Promised != 0 {
		t.Errorf("capacity %+v, %v", c, err)
	}
}

var errDisk = errors.New("input/output error")

type failing struct {
	files
	left int
}

func (f *failing) step() error {
	if f.left == 0 {
		return errDisk
	}
	f.left--
	return nil
}

func (f *failing) Write(name string, data []byte) error {
	return errors.Join(f.step(), f.files.Write(name, data))
}
func (f *failing) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.files.Rename(from, to)
}
func (f *failing) Mkdir(name string, mode fs.FileMode) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.files.Mkdir(name, mode)
}
func (f *failing) RemoveAll(name string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.files.RemoveAll(name)
}

func closePools(t *testing.T, p *Pools) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
