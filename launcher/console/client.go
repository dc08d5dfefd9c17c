package console

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"time"
)

// client is one connection of somebody who looks.
type client struct {
	hub  *Hub
	conn net.Conn
	// pos is the next byte of the stream that it has not got; the hub's mutex guards it.
	pos  int64
	once sync.Once
	left chan struct{}
	// done is closed when nothing more is sent; nil for a log.
	done chan struct{}
}

// leave ends the connection; it never waits.
func (c *client) leave() {
	c.once.Do(func() {
		close(c.left)
		_ = c.conn.Close()
	})
}

func (c *client) gone() bool {
	select {
	case <-c.left:
		return true
	default:
		return false
	}
}

// send gives the client first what precedes its position, and then the stream, until either ends. A lossy client may miss
// what it does not take in time.
func (c *client) send(first []byte, lossy bool) {
	defer c.leave()
	if n := c.write(first, lossy); n < len(first) {
		return
	}
	c.took(0)
	buf := make([]byte, chunk)
	for {
		n, missed := c.next(buf)
		if n == 0 {
			return
		}
		if missed > 0 {
			if gap := fmt.Appendf(nil, "\n[%d bytes are missing here]\n", missed); c.write(gap, lossy) < len(gap) {
				return
			}
		}
		took := c.write(buf[:n], lossy)
		if c.took(took); took < n {
			return
		}
	}
}

// next waits for the bytes at the client's position; there are none at the end. missed counts those that are not kept any
// more.
func (c *client) next(buf []byte) (n int, missed int64) {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for c.pos == h.ring.end && !h.ended && !c.gone() {
		h.changed.Wait()
	}
	if c.gone() {
		return 0, 0
	}
	missed = max(0, h.ring.start()-c.pos)
	c.pos += missed
	return h.ring.read(buf, c.pos), missed
}

// took moves the client on by what it has got.
func (c *client) took(n int) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.pos += int64(n)
	if c.done != nil {
		c.hub.seen = max(c.hub.seen, c.pos)
	}
	c.hub.changed.Broadcast()
}

// write gives the number of bytes that the client took, all of them or it has gone. For one that is not waited for there is no
// hurry.
func (c *client) write(p []byte, lossy bool) int {
	if len(p) == 0 {
		return 0
	}
	if !lossy && c.conn.SetWriteDeadline(time.Now().Add(patience)) != nil {
		return 0
	}
	n, _ := c.conn.Write(p)
	return n
}

// listen passes on what the client types.
func (c *client) listen() {
	defer func() {
		c.leave()
		c.hub.mu.Lock()
		defer c.hub.mu.Unlock()
		c.hub.changed.Broadcast() // it may wait for output that does not come
	}()
	buf := make([]byte, chunk)
	for {
		n, err := c.conn.Read(buf)
		if n > 0 {
			select {
			case c.hub.input <- bytes.Clone(buf[:n]):
			case <-c.left:
				return
			case <-c.hub.done: // there may be output still to be sent
			}
		}
		if err != nil {
			return
		}
	}
}
