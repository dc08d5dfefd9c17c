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
func FuzzParseMountInfo(f *testing.F) {
	f.Add(`36 22 0:29 / /a\040b rw shared:2 master:3 - tmpfs none rw`)
	f.Fuzz(func(_ *testing.T, table string) {
		_, _ = parseMountInfo(bufio.NewScanner(strings.NewReader(table)))
	})
}
