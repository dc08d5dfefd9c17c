package metrics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// The disk: a header of four big-endian words (a mark, whether it is being written, the sum of the body's bytes, the body's
// length), then the body.
const (
	diskSize   = 256 << 10
	headerSize = 16
	maxBody    = diskSize - 24
	mark       = "mvbd"
)

// empty is what a guest reads before there are figures.
const empty = "<metrics></metrics>"

// CreateDisk makes the disk at path anew, without figures.
func CreateDisk(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("making disk of metrics: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(diskSize); err != nil {
		return fmt.Errorf("making disk of metrics: %w", err)
	}
	return writeBody(f, []byte(empty))
}

// WriteDisk puts a report on a disk that is there. A guest that reads meanwhile sees that it must read again.
func WriteDisk(path string, body []byte) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return writeBody(f, body)
}

func writeBody(f *os.File, body []byte) error {
	body = append(append(make([]byte, 0, len(body)+1), body...), '\n')
	if len(body) > maxBody {
		return fmt.Errorf("writing metrics: %d bytes are more than the disk holds, %d", len(body), maxBody)
	}
	for _, part := range []struct {
		data []byte
		at   int64
	}{{header(body, true), 0}, {body, headerSize}, {header(body, false), 0}} {
		if _, err := f.WriteAt(part.data, part.at); err != nil {
			return fmt.Errorf("writing metrics: %w", err)
		}
	}
	return nil
}

func header(body []byte, busy bool) []byte {
	out := append(make([]byte, 0, headerSize), mark...)
	flag, sum := uint32(0), uint32(0)
	if busy {
		flag = 1
	}
	for _, b := range body {
		sum += uint32(b)
	}
	for _, word := range []uint32{flag, sum, uint32(len(body))} {
		out = binary.BigEndian.AppendUint32(out, word)
	}
	return out
}
