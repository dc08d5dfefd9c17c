package pods

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const smaps = `55d0c0a00000-55d0c0e00000 r-xp 00000000 00:1d 42 /usr/bin/qemu-system-x86_64
Size:               4096 kB
Rss:                3000 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0008000000 rw-p 00000000 00:00 0
Size:             131072 kB
Rss:               70000 kB
7f0010000000-7f0014000000 rwxp 00000000 00:00 0
Size:              65536 kB
Rss:                9000 kB
7f0020000000-7f0020001000 rw-p 00000000 00:00 0                          [stack]
Size:                  4 kB
Rss:                   4 kB
`

func TestParseMemory(t *testing.T) {
	for _, tc := range []struct {
		name     string
		guestKiB int64
		want     Memory
	}{
		{"QEMU", 128 << 10, Memory{Total: 82004, GuestRAM: 70000, JIT: 9000}},
		{"a process without a guest", 0, Memory{Total: 82004, JIT: 9000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseMemory(strings.NewReader(smaps), tc.guestKiB)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("memory (-want +got):\n%s", diff)
			}
		})
	}
}
