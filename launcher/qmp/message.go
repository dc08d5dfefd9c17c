package qmp

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// maxMessage bounds one message of QEMU. Answers are large (query-qmp-schema has 200 KB) but a process that a guest
// has taken over must not fill the launcher's memory.
const maxMessage = 16 << 20

// request is a command on the wire.
type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
	ID        string `json:"id"`
}

// message is anything that QEMU sends: its greeting, a reply or an event.
type message struct {
	Greeting  *greeting       `json:"QMP,omitempty"`
	ID        json.RawMessage `json:"id,omitempty"`
	Return    json.RawMessage `json:"return,omitempty"`
	Error     *wireError      `json:"error,omitempty"`
	Event     string          `json:"event,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	Timestamp wireTime        `json:"timestamp"`
}

type greeting struct {
	Version struct {
		QEMU struct {
			Major int `json:"major"`
			Minor int `json:"minor"`
			Micro int `json:"micro"`
		} `json:"qemu"`
		Package string `json:"package"`
	} `json:"version"`
	Capabilities []json.RawMessage `json:"capabilities"`
}

type wireError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

// wireTime is QEMU's time: microseconds beside the seconds, both -1 when it could not read its clock.
type wireTime struct {
	Seconds      int64 `json:"seconds"`
	Microseconds int64 `json:"microseconds"`
}

func (t wireTime) time() time.Time {
	if t.Seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(t.Seconds, t.Microseconds*1000)
}

// decoder reads messages of any length up to maxMessage.
type decoder struct {
	limit *limitReader
	json  *json.Decoder
}

func newDecoder(r io.Reader) *decoder {
	limit := &limitReader{r: r, left: maxMessage}
	return &decoder{limit: limit, json: json.NewDecoder(limit)}
}

// next gives the next message. Its byte slices are its own.
func (d *decoder) next() (*message, error) {
	d.limit.left = maxMessage
	var m message
	if err := d.json.Decode(&m); err != nil {
		switch err.(type) {
		case *json.SyntaxError, *json.UnmarshalTypeError:
			return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return nil, err
	}
	return &m, nil
}

// limitReader fails, rather than ends, when more was read than may be.
type limitReader struct {
	r    io.Reader
	left int
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrMessageTooLarge
	}
	if len(p) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= n
	return n, err
}
