package console

import (
	"bytes"
	"testing"
)

func TestReplay(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		cut      bool
		want     string
	}{
		{name: "plain", in: "a\r\nb", want: "a\r\nb"},
		{name: "colours stay", in: "\x1b[1;31mred\x1b[0m\x1b[2J\x1b[10;20H", want: "\x1b[1;31mred\x1b[0m\x1b[2J\x1b[10;20H"},
		{name: "cursor position", in: "a\x1b[6nb", want: "ab"},
		{name: "status and attributes", in: "\x1b[5n\x1b[c\x1b[>c\x1b[0c\x1bZ\x05x", want: "x"},
		{name: "sizes, modes and version", in: "\x1b[18t\x1b[?2026$p\x1b[>0q\x1b[?u\x1b[1xy", want: "y"},
		{name: "what looks alike stays", in: "\x1b[!p\x1b[2 q\x1b[u\x1bc", want: "\x1b[!p\x1b[2 q\x1b[u\x1bc"},
		{name: "questions in strings", in: "\x1bP+q544e\x1b\\\x1b]11;?\x07\x1b_Gi=1\x1b\\z", want: "z"},
		{name: "a title stays", in: "\x1b]0;root@vm\x07", want: "\x1b]0;root@vm\x07"},
		{name: "broken off", in: "a\x1b[6", want: "a\x1b[6"},
		{name: "a string without an end", in: "a\x1bPb", want: "a\x1bPb"},
		{name: "interrupted", in: "\x1b[6\nn", want: "\x1b[6\nn"},
		{name: "made by taking out", in: "\x1b\x05[6n.", want: "."},
		{name: "cut in a line", in: "lf of a line\nnext", cut: true, want: "next"},
		{name: "cut without a line", in: "no end", cut: true, want: "no end"},
		{name: "nothing", in: "", cut: true, want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := replay([]byte(tc.in), tc.cut); string(got) != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzReplay holds that nothing is added or changed, and that the plainest question is never repeated.
func FuzzReplay(f *testing.F) {
	for _, s := range []string{"", "a\x1b[6nb", "\x1b\x05[6n", "\x1bP\x1b[6n\x1b\\", "\x1b]11;?\x07", "\x1b[\x1b[6nn"} {
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut bool) {
		got := replay(bytes.Clone(in), cut)
		rest := in
		for _, b := range got {
			at := bytes.IndexByte(rest, b)
			if at < 0 {
				t.Fatalf("%q is no part of %q", got, in)
			}
			rest = rest[at+1:]
		}
		if len(in) < rounds && bytes.Contains(got, []byte("\x1b[6n")) {
			t.Fatalf("%q asks", got)
		}
	})
}

// FuzzRing holds that the ring is the end of what was written.
func FuzzRing(f *testing.F) {
	f.Add([]byte("hello"), uint8(3), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, size, step uint8) {
		if size == 0 || step == 0 {
			return
		}
		r := ring{buf: make([]byte, size)}
		for rest := in; len(rest) > 0; {
			n := min(int(step), len(rest))
			r.write(rest[:n])
			rest = rest[n:]
		}
		got := make([]byte, len(in))
		n := r.read(got, r.start())
		if want := in[max(0, len(in)-int(size)):]; !bytes.Equal(got[:n], want) {
			t.Fatalf("kept %q of %q, want %q", got[:n], in, want)
		}
	})
}
