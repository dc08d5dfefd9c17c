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
	if !c.write(first, lossy) {
		return
	}
	buf := make([]byte, chunk)
	for {
		n, missed := c.next(buf)
		if n == 0 {
			return
		}
		if missed > 0 && !c.write(fmt.Appendf(nil, "\n[%d bytes are missing here]\n", missed), lossy) {
			return
		}
		if !c.write(buf[:n], lossy) {
			return
		}
		c.took(n)
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

func (c *client) took(n int) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.pos += int64(n)
	c.hub.changed.Broadcast()
}

// write tells whether the client took it all. For one that is not waited for there is no hurry.
func (c *client) write(p []byte, lossy bool) bool {
	if len(p) == 0 {
		return true
	}
	if !lossy && c.conn.SetWriteDeadline(time.Now().Add(patience)) != nil {
		return false
	}
	_, err := c.conn.Write(p)
	return err == nil
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
