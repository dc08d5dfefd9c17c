// Package vsock connects to programs in guests over the kernel's sockets between guests and their node. It knows nothing of
// instances: a guest is the number of its context.
package vsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Addr is an address of such a socket.
type Addr struct{ CID, Port uint32 }

// Network is "vsock".
func (Addr) Network() string { return "vsock" }

func (a Addr) String() string { return fmt.Sprintf("%d:%d", a.CID, a.Port) }

// Dial connects to a port of a guest. It fails at once where the kernel has no such sockets.
func Dial(ctx context.Context, cid, port uint32) (net.Conn, error) {
	return dial(ctx, unix.AF_VSOCK, &unix.SockaddrVM{CID: cid, Port: port}, Addr{cid, port})
}

// conn is a socket of a kind that package net does not know.
type conn struct {
	*os.File
	remote net.Addr
}

func (*conn) LocalAddr() net.Addr    { return Addr{CID: unix.VMADDR_CID_HOST} }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// CloseWrite tells the other side that nothing follows.
func (c *conn) CloseWrite() error {
	return c.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

func (c *conn) control(do func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func dial(ctx context.Context, family int, to unix.Sockaddr, remote net.Addr) (net.Conn, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", os.NewSyscallError("socket", err))
	}
	err = unix.Connect(fd, to)
	c := &conn{File: os.NewFile(uintptr(fd), "vsock:"+remote.String()), remote: remote}
	if errors.Is(err, unix.EINPROGRESS) {
		err = c.await(ctx)
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return c, nil
}

// await waits until a connection that was begun is made.
func (c *conn) await(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Unix(1, 0)) })
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Write(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(poll, 0); n == 0 || errors.Is(err, unix.EINTR) {
			return false
		}
		if code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
			result = err
		} else if code != 0 {
			result = unix.Errno(code)
		}
		return true
	})
	if !stop() && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(err, result)
}
