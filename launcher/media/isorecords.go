package media

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf16"
)

// volume gives the descriptor of a tree.
func (d *iso) volume(tree int) []byte {
	b := make([]byte, sector)
	b[0] = 1
	copy(b[1:], "CD001\x01")
	text := func(at, size int, s string) {
		field := bytes.Repeat([]byte{' '}, size)
		if tree == jolietTree {
			for i := 0; i+1 < size; i += 2 {
				field[i], field[i+1] = 0, ' '
			}
			var wide []byte
			for _, c := range utf16.Encode([]rune(s)) {
				wide = binary.BigEndian.AppendUint16(wide, c)
			}
			s = string(wide[:min(len(wide), size/2*2)])
		}
		copy(field, s)
		copy(b[at:], field)
	}
	text(8, 32, "LINUX")
	text(40, 32, d.label)
	both32(b[80:], d.sectors)
	if tree == jolietTree {
		b[0] = 2
		copy(b[88:], "%/E") // two bytes a character, all of them allowed
	}
	both16(b[120:], 1)
	both16(b[124:], 1)
	both16(b[128:], sector)
	both32(b[132:], uint32(len(d.pathTable(tree, false))))
	binary.LittleEndian.PutUint32(b[140:], d.paths[tree][0])
	binary.BigEndian.PutUint32(b[148:], d.paths[tree][1])
	copy(b[156:], d.record(d.root, tree, []byte{0}, nil))
	for _, f := range []struct{ at, size int }{{190, 128}, {318, 128}, {446, 128}, {574, 128}, {702, 37}, {739, 37}, {776, 37}} {
		text(f.at, f.size, "")
	}
	made := d.now.Format("20060102150405") + "00\x00"
	copy(b[813:], made)
	copy(b[830:], made)
	for _, at := range []int{847, 864} {
		copy(b[at:], strings.Repeat("0", 16))
	}
	b[881] = 1
	return b
}

// pathTable lists the folders of a tree.
func (d *iso) pathTable(tree int, big bool) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	var out []byte
	for _, f := range d.folders[tree] {
		name := f.short[tree]
		if f == d.root {
			name = []byte{0}
		}
		out = append(out, byte(len(name)), 0)
		out = order.AppendUint32(out, f.extent[tree])
		out = order.AppendUint16(out, uint16(f.parent.number[tree]))
		out = append(out, name...)
		if len(name)%2 == 1 {
			out = append(out, 0)
		}
	}
	return out
}

// folder gives the records of a folder; none spans two sectors.
func (d *iso) folder(f *entry, tree int) []byte {
	var out []byte
	add := func(record []byte) {
		if room := sector - len(out)%sector; len(record) > room {
			out = append(out, make([]byte, room)...)
		}
		out = append(out, record...)
	}
	rock := func(parts ...[]byte) []byte {
		if tree == jolietTree {
			return nil
		}
		return bytes.Join(parts, nil)
	}
	self := [][]byte{f.rockMode()}
	if f == d.root {
		self = [][]byte{{'S', 'P', 7, 1, 0xbe, 0xef, 0}, f.rockMode(), append([]byte{'E', 'R', 18, 1, 10, 0, 0, 1}, "RRIP_1991A"...)}
	}
	add(d.record(f, tree, []byte{0}, rock(self...)))
	add(d.record(f.parent, tree, []byte{1}, rock(f.parent.rockMode())))
	for _, c := range f.sorted(tree) {
		name, _ := c.rockName()
		add(d.record(c, tree, c.short[tree], rock(c.rockMode(), name)))
	}
	return append(out, make([]byte, (sector-len(out)%sector)%sector)...)
}

// record describes an entry to the folder that has it.
func (d *iso) record(e *entry, tree int, name, system []byte) []byte {
	b := make([]byte, 33, maxRecord)
	both32(b[2:], e.extent[tree])
	both32(b[10:], e.size[tree])
	copy(b[18:], recordTime(d.now))
	if e.dir {
		b[25] = 2
	}
	both16(b[28:], 1)
	b[32] = byte(len(name))
	b = append(b, name...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b = append(b, system...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b[0] = byte(len(b))
	return b
}

// rockMode has Linux show who may do what: everybody may read.
func (e *entry) rockMode() []byte {
	mode, links := uint32(0o100444), uint32(1)
	if e.dir {
		mode, links = 0o040555, 2
	}
	b := append([]byte{'P', 'X', 36, 1}, make([]byte, 32)...)
	both32(b[4:], mode)
	both32(b[12:], links)
	return b // user and group are 0
}

// rockName has Linux show the name. Of a long one the record holds the beginning and says where the rest is.
func (e *entry) rockName() (name, rest []byte) {
	part := func(s string, more byte) []byte { return append([]byte{'N', 'M', byte(5 + len(s)), 1, more}, s...) }
	fixed := 33 + len(e.short[rockTree])
	room := maxRecord - (fixed + fixed%2) - 36 - 5
	if len(e.name) <= room {
		return part(e.name, 0), nil
	}
	const pointer = 28
	room -= pointer
	rest = part(e.name[room:], 0)
	name = append(part(e.name[:room], 1), append([]byte{'C', 'E', pointer, 1}, make([]byte, 24)...)...)
	at := name[len(name)-24:]
	both32(at, e.rest.sector)
	both32(at[8:], e.rest.offset)
	both32(at[16:], uint32(len(rest)))
	return name, rest
}

func recordTime(t time.Time) []byte {
	return []byte{byte(t.Year() - 1900), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), 0}
}

// both16 and both32 write a number in both orders of bytes, one after the other.
func both16(b []byte, n uint16) {
	binary.LittleEndian.PutUint16(b, n)
	binary.BigEndian.PutUint16(b[2:], n)
}

func both32(b []byte, n uint32) {
	binary.LittleEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], n)
}
