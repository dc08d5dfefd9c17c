package console

import "bytes"

const (
	esc  = 0x1b
	enq  = 0x05
	bell = 0x07
)

// rounds bounds how often the rest is looked at again: taking one sequence out may make another of what surrounds it.
const rounds = 8

// lineStart is how far into what was kept a beginning of a line is looked for.
const lineStart = 4 << 10

// replay is what a late client is shown of what was kept. A client's terminal answers when it is asked where its cursor is
// or what it can do; asked again by a repetition it would type its answer into a guest that asks nothing. What was cut off
// at its beginning starts with a line.
func replay(p []byte, cut bool) []byte {
	if cut {
		if at := bytes.IndexByte(p[:min(len(p), lineStart)], '\n'); at >= 0 {
			p = p[at+1:]
		}
	}
	for range rounds {
		n := len(p)
		if p = withoutQuestions(p); len(p) == n {
			break
		}
	}
	return p
}

// withoutQuestions works in place.
func withoutQuestions(p []byte) []byte {
	out := p[:0]
	for len(p) > 0 {
		n, asks := sequence(p)
		if !asks {
			out = append(out, p[:n]...)
		}
		p = p[n:]
	}
	return out
}

// sequence gives the length of what p begins with, one byte or a whole escape sequence, and whether a terminal answers it.
// A sequence that p does not hold to its end is taken byte by byte, and stays: it may go on in what follows.
func sequence(p []byte) (n int, asks bool) {
	switch {
	case p[0] == enq:
		return 1, true
	case p[0] != esc || len(p) < 2:
		return 1, false
	case p[1] == 'Z':
		return 2, true
	case p[1] == '[':
		for i, b := range p[2:] {
			switch {
			case b >= 0x40 && b <= 0x7e:
				return i + 3, controlAsks(p[2:i+2], b)
			case b < 0x20 || b > 0x7e:
				return 1, false
			}
		}
	case p[1] == 'P', p[1] == ']', p[1] == '_':
		if end := stringEnd(p); end > 0 {
			return end, p[1] != ']' || bytes.IndexByte(p[:end], '?') >= 0
		}
	}
	return 1, false
}

// controlAsks says whether a terminal answers a control sequence with these parameters and this last byte: reports of
// status, position, attributes, size, modes and version.
func controlAsks(parameters []byte, final byte) bool {
	switch final {
	case 'n', 'c', 't', 'x':
		return true
	case 'p':
		return bytes.IndexByte(parameters, '$') >= 0
	case 'q':
		return bytes.HasPrefix(parameters, []byte(">"))
	case 'u':
		return bytes.HasPrefix(parameters, []byte("?"))
	}
	return false
}

// longest is how long a control string that asks may be: a guest that begins one again and again must not have all that
// was kept looked through for each.
const longest = 1 << 10

// stringEnd finds the end of a control string, 0 if p does not hold it.
func stringEnd(p []byte) int {
	for i := 2; i < min(len(p), longest); i++ {
		switch {
		case p[i] == bell:
			return i + 1
		case p[i] == esc && i+1 < len(p) && p[i+1] == '\\':
			return i + 2
		}
	}
	return 0
}
