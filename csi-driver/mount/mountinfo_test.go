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
	want := []mountEntry{{22, "254:0", "/"}, {36, "0:29", "/a b\\c\td"}, {37, "0:30", `/x\04`}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mountEntry{})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"22 1 254:0 /", "x 1 254:0 / / rw - ext4"} {
		if _, err := parseMountInfo(bufio.NewScanner(strings.NewReader(bad))); err == nil {
			t.Errorf("accepted %q", bad)
		}
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
