package qmp

import (
	"bytes"
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
			_ = Mask(m.Data)
			_ = Mask(m.Return)
			_ = Mask(m.Error.raw())
		}
	})
}

func (e *wireError) raw() []byte {
	if e == nil {
		return nil
	}
	return []byte(e.Desc)
}
