package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// A disk of ISO 9660 has two trees of the same files: one with short upper-case names, to which Rock Ridge adds those that Linux
// shows, and one with the names that Windows shows (Joliet).
const (
	sector      = 2048
	firstVolume = 16 // what comes before is for boot loaders
	rockTree    = 0
	jolietTree  = 1
	// maxRecord is the length of a directory's record that a reader takes, and maxJoliet that of a name in characters.
	maxRecord = 254
	maxJoliet = 64
)

// entry is a file or folder of the disk.
type entry struct {
	name     string
	dir      bool
	content  []byte
	parent   *entry
	children []*entry
	// short holds the name in each tree.
	short [2][]byte
	// extent is the first sector, that of a file in both trees; size is in bytes; number counts folders from 1.
	extent, size, number [2]uint32
	// rest is where what the record has no room for stands: sector and offset.
	rest struct{ sector, offset uint32 }
}

// iso is a disk on its way.
type iso struct {
	label string
	now   time.Time
	root  *entry
	// folders are those of each tree in the order of its path table.
	folders [2][]*entry
	files   []*entry
	paths   [2][2]uint32 // sectors of the path tables, for both orders of bytes
	rest    []*entry
	sectors uint32
}

// newISO lays a disk out.
func newISO(label string, files map[string][]byte, now time.Time) (*iso, error) {
	d := &iso{label: label, now: now.UTC(), root: &entry{dir: true}}
	d.root.parent = d.root
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "" || path.Clean("/"+name) != "/"+name {
			return nil, fmt.Errorf("%q is no path of a file", name)
		}
		if err := d.root.add(strings.Split(name, "/"), files[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for tree := range 2 {
		d.arrange(tree)
	}
	d.place()
	return d, nil
}

// add puts a file below a folder.
func (e *entry) add(parts []string, content []byte) error {
	if len(parts[0]) > 255 {
		return fmt.Errorf("a name is longer than 255 bytes")
	}
	at := slices.IndexFunc(e.children, func(c *entry) bool { return c.name == parts[0] })
	if len(parts) == 1 {
		if at >= 0 {
			return fmt.Errorf("is a folder too")
		}
		e.children = append(e.children, &entry{name: parts[0], content: content, parent: e})
		return nil
	}
	if at < 0 {
		e.children = append(e.children, &entry{name: parts[0], dir: true, parent: e})
		at = len(e.children) - 1
	}
	if !e.children[at].dir {
		return fmt.Errorf("is a file too")
	}
	return e.children[at].add(parts[1:], content)
}

// arrange names the entries of a tree and puts its folders in order.
func (d *iso) arrange(tree int) {
	d.folders[tree] = []*entry{d.root}
	for i := 0; i < len(d.folders[tree]); i++ {
		f := d.folders[tree][i]
		f.number[tree] = uint32(i + 1)
		taken := map[string]bool{}
		for _, c := range f.children {
			c.short[tree] = c.nameIn(tree, taken)
		}
		for _, c := range f.sorted(tree) {
			if c.dir {
				d.folders[tree] = append(d.folders[tree], c)
			} else if tree == rockTree {
				d.files = append(d.files, c)
			}
		}
	}
}

func (e *entry) sorted(tree int) []*entry {
	out := slices.Clone(e.children)
	slices.SortFunc(out, func(a, b *entry) int { return bytes.Compare(a.short[tree], b.short[tree]) })
	return out
}

// nameIn gives a name that a tree takes and that no other entry of the folder has.
func (e *entry) nameIn(tree int, taken map[string]bool) []byte {
	stem, ext := e.name, ""
	if i := strings.LastIndexByte(e.name, '.'); i > 0 && !e.dir {
		stem, ext = e.name[:i], e.name[i+1:]
	}
	fit := fitJoliet
	if tree == rockTree {
		fit = fitShort
	}
	for n := 0; ; n++ {
		mark := ""
		if n > 0 {
			mark = fmt.Sprintf("_%d", n)
		}
		if name := fit(stem, mark, ext, e.dir); !taken[string(name)] {
			taken[string(name)] = true
			return name
		}
	}
}

// fitShort makes a name of eight characters and three.
func fitShort(stem, mark, ext string, dir bool) []byte {
	plain := func(s string, most int) string {
		s = strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z':
				return r - 'a' + 'A'
			case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
				return r
			}
			return '_'
		}, s)
		return s[:min(len(s), most)]
	}
	name := plain(stem, 8-len(mark)) + mark
	if dir {
		return []byte(name)
	}
	return []byte(name + "." + plain(ext, 3) + ";1")
}

// fitJoliet makes a name of at most 64 characters of two bytes.
func fitJoliet(stem, mark, ext string, dir bool) []byte {
	plain := func(s string) []uint16 {
		return utf16.Encode([]rune(strings.Map(func(r rune) rune {
			if r < ' ' || strings.ContainsRune(`*/:;?\`, r) || r > 0xffff {
				return '_'
			}
			return r
		}, s)))
	}
	var tail []uint16
	if !dir {
		if tail = plain(ext); ext != "" {
			tail = append([]uint16{'.'}, tail[:min(len(tail), 20)]...)
		}
	}
	tail = append(plain(mark), tail...)
	head := plain(stem)
	name := append(head[:min(len(head), maxJoliet-2-len(tail))], tail...)
	if !dir {
		name = append(name, ';', '1')
	}
	var out []byte
	for _, c := range name {
		out = binary.BigEndian.AppendUint16(out, c)
	}
	return out
}

// place gives each part its sectors.
func (d *iso) place() {
	next := uint32(firstVolume + 3)
	take := func(size int) uint32 {
		at := next
		next += uint32((size + sector - 1) / sector)
		return at
	}
	for tree := range 2 {
		for i := range 2 {
			d.paths[tree][i] = take(len(d.pathTable(tree, i == 1)))
		}
	}
	for tree := range 2 {
		for _, f := range d.folders[tree] {
			f.size[tree] = uint32(len(d.folder(f, tree)))
			f.extent[tree] = take(int(f.size[tree]))
		}
	}
	// What records have no room for comes after the folders; none of it spans two sectors.
	offset := uint32(sector)
	for _, f := range d.folders[rockTree] {
		for _, c := range f.children {
			_, rest := c.rockName()
			if rest == nil {
				continue
			}
			if offset+uint32(len(rest)) > sector {
				c.rest.sector, offset = take(sector), 0
			} else {
				c.rest.sector = next - 1
			}
			c.rest.offset = offset
			offset += uint32(len(rest))
			d.rest = append(d.rest, c)
		}
	}
	for _, f := range d.files {
		size := uint32(len(f.content))
		at := take(len(f.content))
		f.extent, f.size = [2]uint32{at, at}, [2]uint32{size, size}
	}
	d.sectors = next
}

// head gives all but the contents of files.
func (d *iso) head() []byte {
	end := d.sectors
	for _, f := range d.files {
		end = min(end, f.extent[rockTree])
	}
	out := make([]byte, end*sector)
	put := func(at uint32, data []byte) { copy(out[at*sector:], data) }
	put(firstVolume, d.volume(rockTree))
	put(firstVolume+1, d.volume(jolietTree))
	put(firstVolume+2, append([]byte{255}, "CD001\x01"...))
	for tree := range 2 {
		for i := range 2 {
			put(d.paths[tree][i], d.pathTable(tree, i == 1))
		}
		for _, f := range d.folders[tree] {
			put(f.extent[tree], d.folder(f, tree))
		}
	}
	for _, e := range d.rest {
		_, rest := e.rockName()
		copy(out[e.rest.sector*sector+e.rest.offset:], rest)
	}
	return out
}
