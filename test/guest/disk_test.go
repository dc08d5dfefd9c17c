package guest

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAssembleDisk(t *testing.T) {
	dir := t.TempDir()
	first, second := bytes.Repeat([]byte("a"), 3<<20), append(make([]byte, 2<<20), "the end is no whole block"...)
	second = append(second, make([]byte, 512-len(second)%512)...)
	for name, data := range map[string][]byte{"mbr.bin": []byte("code"), "one": first, "two": second} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := assembleDisk(dir, []partition{{file: "one", kind: kindFAT32LBA, boot: true}, {file: "two", kind: kindLinux}}); err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(filepath.Join(dir, DiskRaw))
	if err != nil {
		t.Fatal(err)
	}
	if want := 1<<20 + len(first) + len(second); len(disk) != want {
		t.Fatalf("disk has %d bytes, want %d", len(disk), want)
	}
	if !bytes.Equal(disk[1<<20:1<<20+len(first)], first) || !bytes.Equal(disk[1<<20+len(first):], second) {
		t.Error("a partition does not hold its file")
	}
	if string(disk[:4]) != "code" {
		t.Errorf("boot code = %q", disk[:4])
	}
	// Two entries of boot flag, CHS, kind, CHS, first sector, sectors; two empty ones; the signature.
	want := "80feffff0cfeffff" + "00080000" + "00180000" +
		"00feffff83feffff" + "00200000" + "01100000" +
		"00000000000000000000000000000000" + "00000000000000000000000000000000" + "55aa"
	if diff := cmp.Diff(want, hex.EncodeToString(disk[446:512])); diff != "" {
		t.Errorf("partition table (-want +got):\n%s", diff)
	}
}

func TestBootRecordRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		code  []byte
		table []entry
		want  string
	}{
		{"code", make([]byte, 441), nil, "boot code has 441 bytes, more than 440"},
		{"entries", nil, make([]entry, 5), "5 partitions, more than 4"},
		{"size", nil, []entry{{start: 1, sectors: 1 << 32}}, "partition 1 ends beyond 2 TiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := bootRecord(tc.code, tc.table); err == nil || err.Error() != tc.want {
				t.Errorf("error = %v, want %q", err, tc.want)
			}
		})
	}
}
