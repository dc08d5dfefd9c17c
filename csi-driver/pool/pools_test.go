package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseSpec(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Spec
		err  string
	}{
		{"local=/var/pool", Spec{"local", "/var/pool"}, ""},
		{"a=/b=c", Spec{"a", "/b=c"}, ""},
		{"/var/pool", Spec{}, `pool "/var/pool": must be name=path`},
		{"=/var/pool", Spec{}, `pool "": name must be 1 to 63 lower-case letters, digits, dots and dashes, and begin and end with a letter or digit`},
		{"Local=/var/pool", Spec{}, `pool "Local": name must be 1 to 63 lower-case letters, digits, dots and dashes, and begin and end with a letter or digit`},
		{"local=pool", Spec{}, `pool "local": path "pool" must be absolute, clean and not the root directory`},
		{"local=/", Spec{}, `pool "local": path "/" must be absolute, clean and not the root directory`},
		{"local=/a/../b", Spec{}, `pool "local": path "/a/../b" must be absolute, clean and not the root directory`},
	} {
		got, err := ParseSpec(tc.text)
		if text := errText(err); text != tc.err {
			t.Errorf("%s: error %q, want %q", tc.text, text, tc.err)
		}
		if err == nil && got != tc.want {
			t.Errorf("%s: got %v", tc.text, got)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		specs   []Spec
		percent int
		want    string
	}{
		{nil, 100, "no pool is configured, give at least one as name=path"},
		{[]Spec{{"a", "/a"}}, 99, "overcommit of 99 percent: must be at least 100, which promises no more than there is"},
		{[]Spec{{"a", "/a"}, {"a", "/b"}}, 100, `pool "a": name or path is that of pool "a"`},
		{[]Spec{{"a", "/a"}, {"b", "/a"}}, 100, `pool "b": name or path is that of pool "a"`},
	} {
		if _, err := New(tc.specs, tc.percent); errText(err) != tc.want {
			t.Errorf("%v: error %q, want %q", tc.specs, errText(err), tc.want)
		}
	}
}

func TestCreate(t *testing.T) {
	p, err := New([]Spec{{"one", t.TempDir()}, {"two", t.TempDir()}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer closePools(t, p)
	for _, tc := range []struct {
		name string
		req  CreateRequest
		want Volume
		err  error
	}{
		{"default pool and size", CreateRequest{Name: "a"}, Volume{ID: "a", Pool: "one", Size: 1 << 30}, nil},
		{"again", CreateRequest{Name: "a"}, Volume{ID: "a", Pool: "one", Size: 1 << 30}, nil},
		{"again, bigger", CreateRequest{Name: "a", MinSize: 2 << 30}, Volume{}, ErrConflict},
		{"again, smaller", CreateRequest{Name: "a", MaxSize: mib}, Volume{}, ErrConflict},
		{"again, elsewhere", CreateRequest{Name: "a", Pool: "two"}, Volume{}, ErrConflict},
		{"rounded up", CreateRequest{Name: "b", Pool: "two", MinSize: 1}, Volume{ID: "b", Pool: "two", Size: 4096}, nil},
		{"rounding would exceed the limit", CreateRequest{Name: "c", MinSize: 5000, MaxSize: 5001}, Volume{ID: "c", Pool: "one", Size: 5000}, nil},
		{"limit only", CreateRequest{Name: "d", MaxSize: mib}, Volume{ID: "d", Pool: "one", Size: mib}, nil},
		{"limit below", CreateRequest{Name: "e", MinSize: 2 * mib, MaxSize: mib}, Volume{}, ErrInvalid},
		{"negative", CreateRequest{Name: "e", MinSize: -1}, Volume{}, ErrInvalid},
		{"unknown pool", CreateRequest{Name: "e", Pool: "three"}, Volume{}, ErrInvalid},
		{"more than there is", CreateRequest{Name: "e", MinSize: 1 << 55}, Volume{}, ErrNoSpace},
		{"more than can be counted", CreateRequest{Name: "e", MinSize: 1<<63 - 1}, Volume{}, ErrNoSpace},
		{"no plain name", CreateRequest{Name: "../e"}, Volume{ID: VolumeID("../e"), Pool: "one", Size: 1 << 30}, nil},
		{"the id of another name", CreateRequest{Name: VolumeID("../e")}, Volume{}, ErrConflict},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := p.Create(t.Context(), tc.req)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if tc.err == nil {
				tc.want.Name, tc.want.Mode, tc.want.Ready, tc.want.Created = tc.req.Name, Filesystem, true, got.Created
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("volume (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestReopen wants a new process to know what the last one knew.
func TestReopen(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	for _, name := range []string{"b", "a"} {
		if err := create(t, name)(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.MarkPublished(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	want := p.List(t.Context())
	if _, err := New([]Spec{{"local", path}}, 100); err != nil {
		t.Fatal(err)
	}
	second, err := New([]Spec{{"local", path}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Open(t.Context()); !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "does another hostpath driver use the pool?") {
		t.Errorf("a second driver opened the pool: %v", err)
	}
	closePools(t, p)
	if diff := cmp.Diff(want, second.List(t.Context())); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	if want[0].ID != "a" || !want[0].Published || want[1].Published {
		t.Errorf("volumes %+v", want)
	}
	closePools(t, second)
}

// TestLostRecords has the records damaged in different ways: what there is of volumes must stay usable.
func TestLostRecords(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	for _, name := range []string{"good", "gone", "torn", "swapped"} {
		if err := create(t, name)(p); err != nil {
			t.Fatal(err)
		}
	}
	closePools(t, p)
	for name, content := range map[string]string{
		"torn.json": `{"version": 1, "id": "to`, "swapped.json": `{"version":1,"id":"good","mode":"Filesystem","phase":"ready"}`,
		"../volumes/NOT-OURS": "", "not a record.json": "x", "note.txt": "",
	} {
		if err := os.WriteFile(filepath.Join(path, dirState, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(path, dirState, "gone.json")); err != nil {
		t.Fatal(err)
	}
	p = open(t, path)
	got := map[string]int64{}
	for _, v := range p.List(t.Context()) {
		got[v.ID] = v.Size
		content, err := p.OpenContent(t.Context(), v.ID)
		if err != nil {
			t.Error(err)
			continue
		}
		_ = content.Close()
	}
	if diff := cmp.Diff(map[string]int64{"good": mib, "gone": 0, "torn": 0, "swapped": 0}, got); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	closePools(t, p)

	if err := os.WriteFile(filepath.Join(path, dirState, "good.json"), []byte(`{"version":2,"id":"good"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New([]Spec{{"local", path}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Open(t.Context()); !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "version 2, this program knows up to 1") {
		t.Errorf("a pool of a newer version was opened: %v", err)
	}
}

// TestUnusablePool wants the other pools to work, nobody to be told that a volume does not exist when that is not known, and the pool to be used as soon as it is repaired.
func TestUnusablePool(t *testing.T) {
	good, bad := t.TempDir(), filepath.Join(t.TempDir(), "pool")
	if err := os.WriteFile(bad, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New([]Spec{{"good", good}, {"bad", bad}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer closePools(t, p)
	ctx := t.Context()
	if _, err := p.Create(ctx, CreateRequest{Name: "a", Pool: "bad"}); !errors.Is(err, ErrUnusable) {
		t.Errorf("create in the bad pool: %v", err)
	}
	if _, err := p.Get(ctx, "a"); !errors.Is(err, ErrUnusable) || errors.Is(err, ErrNotFound) {
		t.Errorf("a volume that may be in the bad pool: %v", err)
	}
	if err := p.Delete(ctx, "a"); !errors.Is(err, ErrUnusable) {
		t.Errorf("delete of a volume that may be in the bad pool: %v", err)
	}
	if _, err := p.Capacity(ctx, "good"); err != nil {
		t.Errorf("capacity of the good pool: %v", err)
	}
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Create(ctx, CreateRequest{Name: "a", Pool: "bad"}); err != nil {
		t.Errorf("create in the repaired pool: %v", err)
	}
}

// TestPromises wants no more to be promised than there is, by however many at once.
func TestPromises(t *testing.T) {
	p := open(t, t.TempDir())
	defer closePools(t, p)
	ctx := t.Context()
	before, err := p.Capacity(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	each := before.Available / 4
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			_, err := p.Create(ctx, CreateRequest{Name: fmt.Sprintf("v%d", i), MinSize: each})
			switch {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, ErrNoSpace):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// Others use the file system of the tests, so one may not fit.
	if n := made.Load(); n != 3 && n != 4 {
		t.Errorf("made %d volumes of a quarter each", n)
	}
	after, err := p.Capacity(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	// What is free changes with what others do; what is promised of it does not count as available, but for what volumes hold.
	if after.Available > max(0, after.Free-after.Promised)+mib || after.Promised != int64(made.Load())*((each+4095)/4096*4096) {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestOvercommit(t *testing.T) {
	p, err := New([]Spec{{"local", t.TempDir()}}, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer closePools(t, p)
	capacity, err := p.Capacity(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	if capacity.Available < capacity.Free*19/10 {
		t.Errorf("capacity %+v with 200 percent", capacity)
	}
	if _, err := p.Create(t.Context(), CreateRequest{Name: "a", MinSize: capacity.Free * 3 / 2}); err != nil {
		t.Fatal(err)
	}
	left, err := p.Capacity(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	if low, high := capacity.Free*4/10, capacity.Free*6/10; left.Available < low || left.Available > high {
		t.Errorf("left %+v, want from %d to %d", left, low, high)
	}
}

// TestUsage measures what pods leave in a volume: sparse files, links, directories.
func TestUsage(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	defer closePools(t, p)
	if err := create(t, "v")(p); err != nil {
		t.Fatal(err)
	}
	volume := filepath.Join(path, "volumes/v")
	steps := errors.Join(
		os.Mkdir(filepath.Join(volume, "dir"), 0o700),
		os.WriteFile(filepath.Join(volume, "dir/file"), make([]byte, 1<<20), 0o600),
		os.Link(filepath.Join(volume, "dir/file"), filepath.Join(volume, "link")),
		os.Symlink("/", filepath.Join(volume, "root")),
		os.WriteFile(filepath.Join(volume, "sparse"), nil, 0o600),
		os.Truncate(filepath.Join(volume, "sparse"), 1<<40),
	)
	if steps != nil {
		t.Fatal(steps)
	}
	usage, err := p.Usage(t.Context(), "v")
	if err != nil {
		t.Fatal(err)
	}
	if usage.Bytes < 1<<20 || usage.Bytes > 1<<20+64<<10 || usage.Inodes != 5 {
		t.Errorf("usage %+v", usage)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if again, err := p.Usage(ended, "v"); err == nil && again != usage {
		t.Errorf("the remembered usage is %+v", again)
	}
	if _, err := p.Usage(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("usage of no volume: %v", err)
	}
}

// TestConfinement plants links where the pool keeps its things. Nobody but root can, but nothing shall follow them either.
func TestConfinement(t *testing.T) {
	path, outside := t.TempDir(), t.TempDir()
	precious := filepath.Join(outside, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := open(t, path)
	defer closePools(t, p)
	if err := create(t, "v")(p); err != nil {
		t.Fatal(err)
	}
	volume := filepath.Join(path, "volumes/v")
	if err := errors.Join(os.Symlink(outside, filepath.Join(volume, "way-out")), os.Symlink(outside, filepath.Join(path, "trash/v"))); err != nil {
		t.Fatal(err)
	}
	if err := remove(t, "v")(p); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("removing a volume reached outside of the pool: %v", err)
	}
	if err := create(t, "w")(p); err != nil {
		t.Fatal(err)
	}
	volume = filepath.Join(path, "volumes/w")
	if err := errors.Join(os.Remove(volume), os.Symlink(outside, volume)); err != nil {
		t.Fatal(err)
	}
	if content, err := p.OpenContent(t.Context(), "w"); err == nil {
		t.Errorf("opened %s", content.Name())
	}
	if err := remove(t, "w")(p); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("removing a volume reached outside of the pool: %v", err)
	}
}

func TestModes(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	defer closePools(t, p)
	if err := create(t, "v")(p); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"volumes": 0o700, "state": 0o700, "volumes/v": 0o770, "state/v.json": 0o600} {
		info, err := os.Stat(filepath.Join(path, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

func TestLock(t *testing.T) {
	p := open(t, t.TempDir())
	defer closePools(t, p)
	unlock, err := p.Lock("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Lock("a"); !errors.Is(err, ErrBusy) {
		t.Errorf("locked twice: %v", err)
	}
	other, err := p.Lock("b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
	if unlock, err = p.Lock("a"); err != nil {
		t.Error(err)
	} else {
		unlock()
	}
}

// TestSharesFileSystem compares with a path of the same and, where there is one, of another file system.
func TestSharesFileSystem(t *testing.T) {
	path := t.TempDir()
	p := open(t, path)
	defer closePools(t, p)
	if same, err := p.SharesFileSystem(t.Context(), "local", path); err != nil || !same {
		t.Errorf("its own path: %v, %v", same, err)
	}
	if same, err := p.SharesFileSystem(t.Context(), "local", "/proc"); err != nil || same {
		t.Errorf("/proc: %v, %v", same, err)
	}
}

// TestSameFileSystem knows the subvolumes of one btrfs, which have device numbers of their own.
func TestSameFileSystem(t *testing.T) {
	const ext4 = unix.EXT4_SUPER_MAGIC
	btrfs := fileSystem{device: 40, kind: unix.BTRFS_SUPER_MAGIC, id: 7}
	for _, tc := range []struct {
		name string
		a, b fileSystem
		want bool
	}{
		{"one device", fileSystem{1, ext4, 5}, fileSystem{1, ext4, 5}, true},
		{"two devices", fileSystem{1, ext4, 5}, fileSystem{2, ext4, 6}, false},
		{"two devices, ids that say nothing", fileSystem{1, unix.TMPFS_MAGIC, 0}, fileSystem{2, unix.TMPFS_MAGIC, 0}, false},
		{"subvolumes", btrfs, fileSystem{41, unix.BTRFS_SUPER_MAGIC, 7}, true},
		{"two of btrfs", btrfs, fileSystem{41, unix.BTRFS_SUPER_MAGIC, 8}, false},
		{"btrfs and another", btrfs, fileSystem{41, ext4, 7}, false},
	} {
		if got, back := tc.a.same(tc.b), tc.b.same(tc.a); got != tc.want || back != tc.want {
			t.Errorf("%s: %v and %v, want %v", tc.name, got, back, tc.want)
		}
	}
}

// TestKeepOff has pools that share the node's file system: they make no new volumes, and serve those that they have.
func TestKeepOff(t *testing.T) {
	ctx := t.Context()
	p, err := New([]Spec{{"own", t.TempDir()}, {"shared", t.TempDir()}, {"unknown", t.TempDir()}}, 100)
	must(t, err)
	defer closePools(t, p)
	for _, name := range []string{"own", "shared", "unknown"} {
		if _, err := p.Create(ctx, CreateRequest{Name: "old-" + name, Pool: name}); err != nil {
			t.Fatal(err)
		}
	}
	p.KeepOff(func(_ context.Context, s Spec) (string, error) {
		return map[string]string{"shared": "the kubelet"}[s.Name], map[string]error{"unknown": errDisk}[s.Name]
	})
	for name, want := range map[string]error{"own": nil, "": nil, "shared": ErrShared, "unknown": ErrUnusable, "missing": ErrInvalid} {
		if err := p.Accepts(ctx, name); !errors.Is(err, want) {
			t.Errorf("pool %q accepts: %v, want %v", name, err, want)
		}
		if _, err := p.Create(ctx, CreateRequest{Name: "new-" + name, Pool: name}); !errors.Is(err, want) {
			t.Errorf("pool %q creates: %v, want %v", name, err, want)
		}
	}
	if err := p.Accepts(ctx, "shared"); err == nil || !strings.Contains(err.Error(), "the kubelet") || !strings.Contains(err.Error(), "--allow-root-filesystem") {
		t.Errorf("said: %v", err)
	}
	for _, id := range []string{"old-shared", "old-unknown"} {
		if _, err := p.Create(ctx, CreateRequest{Name: id, Pool: strings.TrimPrefix(id, "old-")}); err != nil {
			t.Errorf("a repeated request: %v", err)
		}
		content, err := p.OpenContent(ctx, id)
		must(t, err)
		_ = content.Close()
		if _, err := p.Usage(ctx, id); err != nil {
			t.Error(err)
		}
		must(t, remove(t, id)(p))
	}
}

// FuzzVolumeID wants ids that are plain file names, whatever the name.
func FuzzVolumeID(f *testing.F) {
	for _, name := range []string{"pvc-0c7d2b60-4a39-4f6c-9d7c-1b7f1b7f1b7f", "", ".", "..", "a/b", "a\x00b", "-rf", strings.Repeat("a", 300), "A", "a."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id := VolumeID(name)
		if !validID(id) || !filepath.IsLocal(id) || filepath.Base(id) != id || len(id) > 128 || id != VolumeID(name) {
			t.Errorf("name %q has id %q", name, id)
		}
	})
}

// FuzzParseRecord wants no content of a record file to panic or to be accepted with values that no volume has.
func FuzzParseRecord(f *testing.F) {
	f.Add("v", []byte(`{"version":1,"id":"v","name":"v","mode":"Filesystem","size":4096,"phase":"ready","created":"2026-01-02T03:04:05Z","published":true}`))
	f.Add("v", []byte(`{"version":9}`))
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		r, err := parseRecord(id, data)
		if err == nil && (r.ID != id || r.Size < 0 || r.Version != recordVersion) {
			t.Errorf("accepted %+v", r)
		}
	})
}

// FuzzIDs gives hostile ids to every operation that takes one: none may reach outside of the pool's own volumes.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{"../outside", "..", ".", "", "v/../../outside", "/etc", "v\x00", "state/lock"} {
		f.Add(id)
	}
	base := f.TempDir()
	outside := filepath.Join(base, "outside")
	if err := os.Mkdir(outside, 0o700); err != nil {
		f.Fatal(err)
	}
	p, err := New([]Spec{{"local", filepath.Join(base, "pool")}}, 100)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string) {
		ctx := t.Context()
		if content, err := p.OpenContent(ctx, id); err == nil {
			t.Errorf("opened %s", content.Name())
		}
		if _, err := p.Get(ctx, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("get: %v", err)
		}
		if err := errors.Join(p.Delete(ctx, id), p.Recover(ctx)); err != nil {
			t.Errorf("delete: %v", err)
		}
		if _, err := os.Stat(outside); err != nil {
			t.Error(err)
		}
	})
}
