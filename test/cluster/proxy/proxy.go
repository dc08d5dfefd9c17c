// Package proxy carries connections from a listening socket to one address, byte for byte. The local cluster
// uses it to let the host reach kube-apiserver: the socket is the host's, the address is inside a machine.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// DialTimeout bounds one attempt to reach the address.
const DialTimeout = 10 * time.Second

// Serve accepts connections until ctx ends or the listener fails.
func Serve(ctx context.Context, l net.Listener, to string) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var temporary interface{ Temporary() bool }
		if errors.As(err, &temporary) && temporary.Temporary() {
			// Too many open files, for one: the listener is still good.
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		go carry(ctx, c.(*net.TCPConn), to)
	}
}

func carry(ctx context.Context, client *net.TCPConn, to string) {
	defer client.Close()
	d := net.Dialer{Timeout: DialTimeout}
	c, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		slog.Warn("Could not reach the server", "address", to, "err", err)
		return
	}
	server := c.(*net.TCPConn)
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
		both.Go(func() {
			_, err := io.Copy(way[1], way[0])
			if err != nil {
				// A broken way breaks the connection; otherwise the other side would wait for ever.
				client.Close()
				server.Close()
				return
			}
			// The end of one way is passed on and leaves the other open.
			_ = way[1].CloseWrite()
		})
	}
	both.Wait()
}
