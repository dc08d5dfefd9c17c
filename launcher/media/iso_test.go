package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// readISO reads a disk back as Linux does, and sees that the tree for Windows has the same contents.
func readISO(t testing.TB, file string) (map[string]string, string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := isoReader{t, raw}
	linux, windows := map[string]string{}, map[string]string{}
	r.walk(r.root(16, 1), "", false, linux)
	r.walk(r.root(17, 2), "", true, windows)
	count := func(m map[string]string) map[string]int {
		out := map[string]int{}
		for _, content := range m {
			out[content]++
		}
		return out
	}
	if diff := cmp.Diff(count(linux), count(windows)); diff != "" {
		t.Errorf("the trees differ: %s", diff)
	}
	return linux, strings.TrimRight(string(raw[16*2048+40:16*2048+72]), " ")
}

// isoReader knows the format apart from the writer.
type isoReader struct {
	testing.TB
	raw []byte
}

func (r isoReader) both(b []byte) uint32 {
	r.Helper()
	n := binary.LittleEndian.Uint32(b)
	if big := binary.BigEndian.Uint32(b[4:]); big != n {
		r.Fatalf("a number is %d and %d", n, big)
	}
	return n
}

// root gives the root's record out of a volume descriptor.
func (r isoReader) root(sector int, kind byte) []byte {
	r.Helper()
	d := r.raw[sector*2048:]
	if d[0] != kind || string(d[1:6]) != "CD001" || r.both(d[80:])*2048 > uint32(len(r.raw)) {
		r.Fatalf("descriptor of kind %d in sector %d", d[0], sector)
	}
	return d[156:190]
}

func (r isoReader) walk(folder []byte, prefix string, wide bool, out map[string]string) {
	r.Helper()
	at, size := r.both(folder[2:])*2048, r.both(folder[10:])
	last := ""
	for n, b := 0, r.raw[at:at+size]; len(b) > 0; {
		if b[0] == 0 { // the rest of the sector is free
			skip := (len(b)-1)%2048 + 1
			b = b[skip:]
			continue
		}
		record := b[:b[0]]
		b = b[b[0]:]
		n++
		name := string(record[33 : 33+record[32]])
		if n <= 2 {
			continue // itself and its parent
		}
		if name <= last {
			r.Errorf("%q comes after %q", name, last)
		}
		last = name
		if wide {
			var chars []uint16
			for i := 0; i+1 < len(name); i += 2 {
				chars = append(chars, uint16(name[i])<<8|uint16(name[i+1]))
			}
			if len(chars) > 64 {
				r.Errorf("a name of %d characters", len(chars))
			}
			name = strings.TrimSuffix(string(utf16.Decode(chars)), ";1")
		} else {
			system := record[33+len(name):]
			if len(name)%2 == 0 {
				system = system[1:]
			}
			name = r.rock(system)
		}
		if record[25]&2 != 0 {
			r.walk(record, prefix+name+"/", wide, out)
			continue
		}
		begin, length := r.both(record[2:])*2048, r.both(record[10:])
		if _, twice := out[prefix+name]; twice {
			r.Errorf("%s is there twice", prefix+name)
		}
		out[prefix+name] = string(r.raw[begin : begin+length])
	}
}

// rock reads the name that Rock Ridge gives.
func (r isoReader) rock(b []byte) string {
	name := ""
	for len(b) >= 4 {
		e := b[:b[2]]
		b = b[b[2]:]
		switch string(e[:2]) {
		case "NM":
			name += string(e[5:])
		case "CE":
			at := r.both(e[4:])*2048 + r.both(e[12:])
			b = r.raw[at : at+r.both(e[20:])]
		}
	}
	return name
}

// TestOthersReadIt has genisoimage's reader list the disks in all three ways, and read a file.
func TestOthersReadIt(t *testing.T) {
	isoinfo, err := exec.LookPath("isoinfo")
	if err != nil {
		t.Fatal("isoinfo is not installed: run hack/deps.sh")
	}
	long := strings.Repeat("n", 200) + ".txt"
	files := map[string][]byte{
		"Autounattend.xml": []byte("<unattend/>"), "unattend.xml": nil, ".hidden": []byte("h"), long: []byte("long"),
		"configuration-of-this.yaml": []byte("this"), "configuration-of-that.yaml": []byte("that"), "dir/inner/deep.txt": []byte("deep"), "dir/two.words.here": nil,
	}
	for i := range 60 { // more than a sector of records
		files[fmt.Sprintf("many/file-number-%d", i)] = []byte{byte(i)}
	}
	path := filepath.Join(t.TempDir(), "disk.iso")
	if err := WriteFiles(path, "unattendCD", files); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		out, err := exec.Command(isoinfo, append(args, "-i", path)...).CombinedOutput()
		if err != nil {
			t.Fatalf("isoinfo %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, tc := range []struct {
		how  string
		want []string
	}{
		{"-R", []string{"/Autounattend.xml", "/unattend.xml", "/.hidden", "/" + long, "/configuration-of-this.yaml", "/dir/inner/deep.txt", "/dir/two.words.here", "/many/file-number-59"}},
		{"-J", []string{"/Autounattend.xml", "/unattend.xml", "/.hidden", "/" + strings.Repeat("n", 58) + ".txt", "/configuration-of-that.yaml", "/dir/inner/deep.txt", "/dir/two.words.here", "/many/file-number-59"}},
		{"-s", []string{"/AUTOUNAT.XML;1", "/CONFIGUR.YAM;1", "/CONFIG_1.YAM;1", "/DIR/INNER/DEEP.TXT;1", "/MANY/FILE_N_9.;1", "/MANY/FILE__59.;1"}},
	} {
		lines := map[string]bool{}
		for line := range strings.Lines(run("-f", tc.how)) {
			lines[strings.TrimSuffix(strings.TrimRight(line, "\n"), ";1")] = true
			lines[strings.TrimRight(line, "\n")] = true
		}
		for _, want := range tc.want {
			if !lines[want] {
				t.Errorf("isoinfo %s does not list %s: %v", tc.how, want, lines)
			}
		}
	}
	if got := run("-R", "-x", "/dir/inner/deep.txt"); got != "deep" {
		t.Errorf("deep.txt holds %q", got)
	}
	if got := run("-J", "-x", "/Autounattend.xml;1"); got != "<unattend/>" {
		t.Errorf("Autounattend.xml holds %q", got)
	}
	if got := run("-d"); !strings.Contains(got, "Volume id: unattendCD") || !strings.Contains(got, "Joliet with UCS level 3 found") || !strings.Contains(got, "Rock Ridge") {
		t.Errorf("isoinfo -d says\n%s", got)
	}
}

func TestISORefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"empty name", map[string][]byte{"": nil}, `"" is no path of a file`},
		{"climbs", map[string][]byte{"../x": nil}, `"../x" is no path of a file`},
		{"absolute", map[string][]byte{"/x": nil}, `"/x" is no path of a file`},
		{"file and folder", map[string][]byte{"a": nil, "a/b": nil}, "a/b: is a file too"},
		{"name too long", map[string][]byte{strings.Repeat("a", 256): nil}, strings.Repeat("a", 256) + ": a name is longer than 255 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := newISO("l", tc.files, time.Now()); err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// TestSameFilesSameDisk wants nothing in it but what was given.
func TestSameFilesSameDisk(t *testing.T) {
	at := time.Date(2026, 11, 27, 20, 30, 0, 0, time.FixedZone("", 3600))
	var heads [2][]byte
	for i := range heads {
		d, err := newISO("l", map[string][]byte{"a": []byte("1"), "b/c": []byte("2"), "b/d": nil}, at)
		if err != nil {
			t.Fatal(err)
		}
		heads[i] = d.head()
	}
	if !bytes.Equal(heads[0], heads[1]) {
		t.Error("they differ")
	}
}
