package mount

import (
	"bufio"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMountInfo(t *testing.T) {
	const table = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
36 22 0:29 / /a\040b\134c\011d rw shared:2 master:3 - tmpfs none rw
37 22 0:30 /sub /x\04 rw - tmpfs none rw
`
	got, err := parseMountInfo(bufio.NewScanner(strings.NewReader(table)))
	if err != nil {
		t.Fatal(err)
	}
	want := []mountEntry{{22, "254:0", "/", "/"}, {36, "0:29", "/", "/a b\\c\td"}, {37, "0:30", "/sub", `/x\04`}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mountEntry{})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"22 1 254:0 /", "x 1 254:0 / / rw - ext4"} {
		if _, err := parseMountInfo(bufio.NewScanner(strings.NewReader(bad))); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

// TestOnRoot has a directory at a path, and what of which file system is mounted there in the mount namespace that looks.
func TestOnRoot(t *testing.T) {
	const pool = "/var/lib/pool"
	for _, tc := range []struct {
		name string
		root string
		at   string
		want bool
	}{
		{"on the node itself", "/", "/", true},
		{"given to a container by its own path", pool, pool, true},
		{"its directory given to a container", "/var/lib", "/var/lib", true},
		{"a file system of its own", "/", pool, false},
		{"a file system for the directory above", "/", "/var/lib", false},
		{"a directory of such a file system, given to a container", "/pool", pool, false},
		{"a root that is a subvolume", "/@root", "/", false}, // its device number tells
		{"a directory of another file system that is given by another path", "/data" + pool, pool, false},
		{"a mount elsewhere", "/", "/var/lib/po", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			entries := []mountEntry{{1, "254:0", "/", "/"}, {2, "254:1", tc.root, tc.at}}
			if got := onRoot(entries, 2, pool); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
			if onRoot(entries, 3, pool) {
				t.Error("found a mount that is not there")
			}
		})
	}
	if on, err := OnRoot("/proc"); err != nil || on {
		t.Errorf("/proc: %v, %v", on, err)
	}
	if on, err := OnRoot("/"); err != nil || !on {
		t.Errorf("/: %v, %v", on, err)
	}
	if _, err := OnRoot(t.TempDir() + "/missing"); err == nil {
		t.Error("a missing directory is on some file system")
	}
}

// FuzzParseMountInfo wants no table to panic; a mount point's name is chosen by whoever mounts.
// FuzzParseMountInfo reads any table without a panic, and each path back as the kernel has written it.
func FuzzParseMountInfo(f *testing.F) {
	f.Add(`36 22 0:29 / /a\040b rw shared:2 master:3 - tmpfs none rw`, "/a b\\040\n\t")
	kernel := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	f.Fuzz(func(t *testing.T, table, point string) {
		_, _ = parseMountInfo(bufio.NewScanner(strings.NewReader(table)))
		if len(point) > 1<<16 {
			return // lines have a limit
		}
		got, err := parseMountInfo(bufio.NewScanner(strings.NewReader("36 22 0:29 / " + kernel.Replace(point) + " rw - tmpfs none rw")))
		if err != nil || len(got) != 1 || got[0].id != 36 || got[0].point != point {
			t.Errorf("%q is read as %+v, %v", point, got, err)
		}
	})
}
