package qmp

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// FuzzDecoder feeds what a QEMU in the hands of its guest might send.
func FuzzDecoder(f *testing.F) {
	for _, s := range []string{
		hello, `{"return": {}, "id": "1"}`, `{"error": {"class": "GenericError", "desc": "x"}, "id": 7}`,
		`{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}`, `{"event": null}`, `[]`, `{"id": {}}`, "\xff\xfe", `{"a":`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := newDecoder(bytes.NewReader(raw))
		for range 1000 {
			m, err := d.next()
			if err != nil {
				return
			}
			_ = m.Timestamp.time()
			for _, part := range [][]byte{m.Data, m.Return, m.Error.raw()} {
				// Nothing that is secret is left for a second time.
				if once := Mask(part); !bytes.Equal(Mask(once), once) {
					t.Errorf("%q masked is %q, and masked again %q", part, once, Mask(once))
				}
			}
		}
	})
}

func (e *wireError) raw() []byte {
	if e == nil {
		return nil
	}
	return []byte(e.Desc)
}

// TestMessagesAreBoundedOneByOne: a connection lives for months, and what it has read in all has no limit.
func TestMessagesAreBoundedOneByOne(t *testing.T) {
	one := `{"return": {}, "id": "1"}`
	d := newDecoder(io.MultiReader(strings.NewReader(one), strings.NewReader(one)))
	for i := range 2 {
		if m, err := d.next(); err != nil || string(m.Return) != "{}" {
			t.Fatalf("message %d: %+v, %v", i+1, m, err)
		}
		d.limit.left = 0 // as after as many bytes as one message may have
	}
}
