package qmp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// A QEMU that was just started needs some 30 ms until its socket is there, and a guest waits for it: it is tried often
// at first.
const (
	dialOften  = 2 * time.Millisecond
	dialSeldom = 50 * time.Millisecond
	dialSoon   = time.Second
)

// Dial connects to QEMU's socket and shakes hands. While the socket is not there or nobody listens yet it tries
// again until ctx ends, because a QEMU that was just started needs a moment. It serves the first connection and any
// later one alike.
func Dial(ctx context.Context, path string, opts ...Option) (*Client, error) {
	var d net.Dialer
	began := time.Now()
	for {
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return New(ctx, conn, opts...)
		}
		if !notYet(err) {
			return nil, fmt.Errorf("connecting to QEMU at %s: %w", path, err)
		}
		pause := dialOften
		if time.Since(began) > dialSoon {
			pause = dialSeldom
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to QEMU at %s: %w (last: %w)", path, context.Cause(ctx), err)
		}
	}
}

// notYet tells whether a try may do better later.
func notYet(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EAGAIN)
}

// writeFiles writes raw and sends files along with its first byte.
func writeFiles(conn net.Conn, raw []byte, files []*os.File) (int, error) {
	if len(files) == 0 {
		return conn.Write(raw)
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("files can only be passed over a unix socket, not %T", conn)
	}
	fds := make([]int, 0, len(files))
	for _, f := range files {
		rc, err := f.SyscallConn()
		if err != nil {
			return 0, fmt.Errorf("file %s: %w", f.Name(), err)
		}
		// The caller keeps the file open until this returns, so the number stays valid after Control.
		if err := rc.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return 0, fmt.Errorf("file %s: %w", f.Name(), err)
		}
	}
	n, _, err := unix.WriteMsgUnix(raw, syscall.UnixRights(fds...), nil)
	return n, err
}
