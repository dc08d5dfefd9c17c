package disk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/virtplane/virtplane/launcher/api"
)

func needTools(t testing.TB) {
	t.Helper()
	for _, p := range []string{"qemu-img", "prlimit"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

func img(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v\n%s", args, err, out)
	}
}

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// expect compares an error with its reason and text; FILE stands for path.
func expect(t *testing.T, err error, reason, text, path string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if want := strings.ReplaceAll(text, "FILE", path); got != want {
		t.Errorf("got error %q\nwant      %q", got, want)
	}
	if r := api.ReasonOf(err); r != reason {
		t.Errorf("reason %q, want %q", r, reason)
	}
}

func TestInspect(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	img(t, "create", "-q", "-f", "qcow2", p("good.qcow2"), "3M")
	img(t, "create", "-q", "-f", "raw", p("good.raw"), "2M")
	img(t, "create", "-q", "-f", "qcow2", p("huge.qcow2"), "2T")
	img(t, "create", "-q", "-f", "qcow2", "-b", p("good.qcow2"), "-F", "qcow2", p("backed.qcow2"))
	img(t, "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", p("thief.qcow2"), "1M")
	img(t, "create", "-q", "-f", "qcow2", "-o", "data_file="+p("elsewhere.raw"), p("split.qcow2"), "1M")
	img(t, "create", "-q", "-f", "vmdk", p("other.vmdk"), "1M")
	img(t, "create", "-q", "-f", "vdi", p("other.vdi"), "1M")
	write(t, p("packed.raw.gz"), "\x1f\x8b\x08\x00\x00\x00\x00\x00")
	write(t, p("nothing.raw"), "")
	raw, err := os.ReadFile(p("good.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, p("cut.qcow2"), string(raw[:80]))
	if err := os.Symlink("/etc", p("folder")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, file, reason, text string
		want                     Info
	}{
		{"qcow2", "good.qcow2", "", "", Info{Format: "qcow2", VirtualSize: 3 << 20}},
		{"raw", "good.raw", "", "", Info{Format: "raw", VirtualSize: 2 << 20}},
		{"too large", "huge.qcow2", api.ReasonImageTooLarge, "image FILE: virtual size of 2199023255552 bytes is over the limit of 1099511627776", Info{}},
		{"backing file", "backed.qcow2", api.ReasonImageHasBackingFile, "image FILE: has a backing file; flatten it by qemu-img convert", Info{}},
		{"backing file of the host", "thief.qcow2", api.ReasonImageHasBackingFile, "image FILE: has a backing file; flatten it by qemu-img convert", Info{}},
		{"external data", "split.qcow2", api.ReasonImageHasExternalData, "image FILE: keeps its data in another file; flatten it by qemu-img convert", Info{}},
		{"vmdk", "other.vmdk", api.ReasonImageFormatUnknown, `image FILE: format "vmdk" must be raw or qcow2; convert it by qemu-img convert`, Info{}},
		{"vdi", "other.vdi", api.ReasonImageFormatUnknown, `image FILE: format "vdi" must be raw or qcow2; convert it by qemu-img convert`, Info{}},
		{"packed", "packed.raw.gz", api.ReasonImageFormatUnknown, "image FILE: is packed with gzip; unpack it, QEMU reads raw and qcow2", Info{}},
		{"empty file", "nothing.raw", api.ReasonImageUnreadable, "image FILE: is empty", Info{}},
		{"missing", "missing.raw", api.ReasonImageMissing, "image FILE: is not there", Info{}},
		{"folder", "folder", api.ReasonImageUnreadable, "image FILE: is no regular file", Info{}},
		{"cut off", "cut.qcow2", api.ReasonImageUnreadable, "image FILE: qemu-img info: Could not open 'FILE': qcow2 header too short", Info{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Tool{}.Inspect(t.Context(), p(tc.file))
			expect(t, err, tc.reason, tc.text, p(tc.file))
			if tc.want.Format != "" {
				tc.want.Path = p(tc.file)
			}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
	t.Run("limit of the caller", func(t *testing.T) {
		_, err := Tool{SizeLimit: 1 << 20}.Inspect(t.Context(), p("good.raw"))
		expect(t, err, api.ReasonImageTooLarge, "image FILE: virtual size of 2097152 bytes is over the limit of 1048576", p("good.raw"))
	})
	t.Run("greedy qemu-img", func(t *testing.T) {
		greedy := write(t, p("greedy"), "#!/bin/sh\nexec tail /dev/zero\n")
		if err := os.Chmod(greedy, 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := Tool{QemuImg: greedy}.Inspect(t.Context(), p("good.raw"))
		expect(t, err, api.ReasonImageUnreadable, "image FILE: qemu-img info: tail: memory exhausted", p("good.raw"))
	})
	t.Run("endless qemu-img", func(t *testing.T) {
		endless := write(t, p("endless"), "#!/bin/sh\nprlimit --cpu=1 --pid $$\nwhile :; do :; done\n")
		if err := os.Chmod(endless, 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := Tool{QemuImg: endless}.Inspect(t.Context(), p("good.raw"))
		if err == nil || !strings.Contains(err.Error(), "it needed more than 1024 MiB or 30 s") {
			t.Errorf("got %v", err)
		}
	})
}

func TestFindImage(t *testing.T) {
	for _, tc := range []struct {
		name         string
		make         func(t *testing.T, root string)
		inside       string
		want         string
		reason, text string
	}{
		{"one file of any name", func(t *testing.T, r string) { write(t, r+"/disk/anything at all", "x") }, "", "/disk/anything at all", "", ""},
		{"hidden files and folders do not count", func(t *testing.T, r string) {
			write(t, r+"/disk/.keep", "")
			write(t, r+"/disk/lost+found/x", "")
			write(t, r+"/disk/d.qcow2", "x")
		}, "", "/disk/d.qcow2", "", ""},
		{"path", func(t *testing.T, r string) { write(t, r+"/images/a.raw", "x"); write(t, r+"/disk/b", "x") }, "/images/a.raw", "/images/a.raw", "", ""},
		{"link inside", func(t *testing.T, r string) {
			write(t, r+"/data/real.raw", "x")
			write(t, r+"/disk/.keep", "")
			if err := os.Symlink("/data/real.raw", r+"/disk/d"); err != nil {
				t.Fatal(err)
			}
		}, "", "/data/real.raw", "", ""},
		{"no folder", func(*testing.T, string) {}, "", "", api.ReasonImageMissing, "the image has no /disk"},
		{"no file", func(t *testing.T, r string) { write(t, r+"/disk/.keep", "") }, "", "", api.ReasonImageMissing, "container disk: folder /disk of the image holds no file"},
		{"two files", func(t *testing.T, r string) { write(t, r+"/disk/b", ""); write(t, r+"/disk/a", "") }, "", "", api.ReasonImageAmbiguous, "container disk: folder /disk of the image must hold one file, not 2: a, b"},
		{"folder is a file", func(t *testing.T, r string) { write(t, r+"/disk", "") }, "", "", api.ReasonImageUnreadable, "container disk: reading /disk: open FILE/disk: not a directory"},
		{"path missing", func(t *testing.T, r string) { write(t, r+"/disk/b", "") }, "disk/c", "", api.ReasonImageMissing, "the image has no /disk/c"},
		{"link out", func(t *testing.T, r string) {
			write(t, r+"/disk/.keep", "")
			if err := os.Symlink("../../../../../../etc/passwd", r+"/disk/d"); err != nil {
				t.Fatal(err)
			}
		}, "", "", api.ReasonImageMissing, "the image has no /disk/d"},
		{"path out", func(*testing.T, string) {}, "../../../../../../etc/passwd", "", api.ReasonImageMissing, "the image has no /etc/passwd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			tc.make(t, root)
			got, err := FindImage(root, tc.inside)
			expect(t, err, tc.reason, tc.text, root)
			if tc.want != "" && got != root+tc.want {
				t.Errorf("got %s, want %s", got, root+tc.want)
			}
		})
	}
	t.Run("not mounted", func(t *testing.T) {
		_, err := FindImage("/no/such", "")
		expect(t, err, api.ReasonImageMissing, "image volume /no/such: no such file or directory", "")
	})
}

func TestOverlayAndEmpty(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	base := filepath.Join(dir, "base.raw")
	img(t, "create", "-q", "-f", "raw", base, "4M")
	info, err := Tool{}.Inspect(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	over := filepath.Join(dir, "sub", "over.qcow2")
	for range 2 { // the second takes the place of the first
		if err := (Tool{}).Overlay(t.Context(), over, info); err != nil {
			t.Fatal(err)
		}
	}
	_, err = Tool{}.Inspect(t.Context(), over)
	expect(t, err, api.ReasonImageHasBackingFile, "image FILE: has a backing file; flatten it by qemu-img convert", over)
	empty := filepath.Join(dir, "empty.qcow2")
	if err := (Tool{}).Empty(t.Context(), empty, 5<<20); err != nil {
		t.Fatal(err)
	}
	if got, err := (Tool{}).Inspect(t.Context(), empty); err != nil || got != (Info{Path: empty, Format: "qcow2", VirtualSize: 5 << 20}) {
		t.Errorf("got %+v, %v", got, err)
	}
	expect(t, Tool{}.Empty(t.Context(), empty, 0), api.ReasonInvalidSpec, "empty disk FILE: size must be positive, not 0", empty)
}

func TestFullDisk(t *testing.T) {
	needTools(t)
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	err := Tool{}.Empty(t.Context(), filepath.Join(dir, "e.qcow2"), 1<<40)
	if !errors.Is(err, syscall.ENOSPC) || api.ReasonOf(err) != api.ReasonNoSpace {
		t.Errorf("got %v, reason %q", err, api.ReasonOf(err))
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEnsureClaim(t *testing.T) {
	dir := t.TempDir()
	path, err := EnsureClaim(Claim{Dir: dir, Capacity: 100<<20 + 7, Overhead: 0.06})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || path != dir+"/disk.img" || info.Size() != 94<<20 || info.Mode().Perm() != 0o660 {
		t.Errorf("%s: %v, %v", path, info, err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Blocks != 0 {
		t.Errorf("the new image takes %d blocks", st.Blocks)
	}
	write(t, path, "the user's data")
	if _, err := EnsureClaim(Claim{Dir: dir, Capacity: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != "the user's data" {
		t.Errorf("the image was touched: %q", raw)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	for _, tc := range []struct {
		name  string
		claim Claim
		make  func(dir string)
		text  string
	}{
		{"unknown capacity", Claim{}, nil, "claim at FILE: has no disk.img, and one cannot be made while the claim's capacity is unknown"},
		{"read-only", Claim{ReadOnly: true, Capacity: 1 << 30}, nil, "claim at FILE: has no disk.img and is read-only"},
		{"tiny", Claim{Capacity: 1 << 20, Overhead: 0.5}, nil, "claim at FILE: capacity of 1048576 bytes is too small for a disk"},
		{"overhead", Claim{Capacity: 1 << 20, Overhead: 1}, nil, "claim at FILE: file system overhead 1 must be at least 0 and below 1"},
		{"link", Claim{Capacity: 1 << 30}, func(d string) { os.Symlink("/etc/passwd", d+"/disk.img") }, "claim at FILE: disk.img is no regular file"},
		{"empty file", Claim{Capacity: 1 << 30}, func(d string) { write(t, d+"/disk.img", "") }, "claim at FILE: disk.img is an empty file; remove it, and it is made anew"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.claim.Dir = t.TempDir()
			if tc.make != nil {
				tc.make(tc.claim.Dir)
			}
			_, err := EnsureClaim(tc.claim)
			expect(t, err, api.ReasonClaimUnavailable, tc.text, tc.claim.Dir)
		})
	}
}

func TestCheckBlock(t *testing.T) {
	expect(t, CheckBlock("/dev/null", true), api.ReasonClaimUnavailable, "block claim: /dev/null is no block device", "")
	expect(t, CheckBlock("/dev/none", true), api.ReasonClaimUnavailable, "block claim: open /dev/none: no such file or directory", "")
}

func TestSupportsDirect(t *testing.T) {
	if SupportsDirect("/proc/self/status") {
		t.Error("proc supports direct input and output")
	}
}

// FuzzJudge feeds what a qemu-img in the hands of an image might say.
func FuzzJudge(f *testing.F) {
	f.Add([]byte(`{"format":"raw","virtual-size":1}`))
	f.Add([]byte(`{"format":"qcow2","virtual-size":1,"backing-filename":"/etc/shadow"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		info, err := Tool{}.judge("/i", raw)
		if err == nil && (info.VirtualSize <= 0 || info.VirtualSize > DefaultSizeLimit || info.Format == "") {
			t.Errorf("accepted %+v", info)
		}
	})
}

// FuzzInspect feeds hostile images to the real qemu-img.
func FuzzInspect(f *testing.F) {
	needTools(f)
	path := filepath.Join(f.TempDir(), "seed.qcow2")
	img(f, "create", "-q", "-f", "qcow2", path, "1M")
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[:1024])
	f.Add([]byte("QFI\xfb\x00\x00\x00\x03"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := write(t, filepath.Join(t.TempDir(), "i"), string(raw))
		if info, err := (Tool{}).Inspect(t.Context(), path); err == nil && info.Format != "raw" && info.Format != "qcow2" {
			t.Errorf("accepted %+v", info)
		}
	})
}
