package footprint

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgramRanges(t *testing.T) {
	maps := `00400000-00a00000 r-xp 00000000 fe:00 12 /usr/bin/a program
00a00000-01000000 r--p 00600000 fe:00 12 /usr/bin/a program
01000000-01100000 rw-p 00c00000 fe:00 12 /usr/bin/a program
01100000-01200000 r--s 00c00000 fe:00 12 /usr/bin/a program
7f0000000000-7f0000001000 r-xp 00000000 fe:00 13 /usr/lib/libc.so
c000000000-c000400000 rw-p 00000000 00:00 0
nonsense r-xp 00000000 fe:00 12 /usr/bin/a program
`
	want := []span{{0x400000, 0xa00000}, {0xa00000, 0x1000000}}
	if diff := cmp.Diff(want, programRanges([]byte(maps), "/usr/bin/a program"), cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
}

var rssFile = regexp.MustCompile(`(?m)^RssFile:\s+(\d+) kB$`)

func residentFile(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := rssFile.FindSubmatch(raw)
	if m == nil {
		t.Skip("the kernel does not tell resident file pages")
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The test program goes on after its own pages were dropped.
func TestDropProgramPages(t *testing.T) {
	before := residentFile(t)
	if err := DropProgramPages(); err != nil {
		t.Fatal(err)
	}
	after := residentFile(t)
	if after >= before {
		t.Errorf("%d KiB of files resident before, %d after", before, after)
	}
	if strings.Repeat("x", 3) != "xxx" {
		t.Error("code is gone")
	}
}

func TestKeepEnds(t *testing.T) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		Keep(stop, time.Nanosecond, time.Nanosecond, func(err error) { t.Error(err) })
		close(done)
	}()
	close(stop)
	<-done
}
