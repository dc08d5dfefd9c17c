package console

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// Kept is how much of the guest's output is kept for a client that comes late.
	Kept = 64 << 10
	// chunk is what is read and written at a time.
	chunk = 8 << 10
	// gather is the pause after each read. QEMU writes the output of a serial port byte by byte; a pause that nobody
	// notices makes one piece of many.
	gather = 200 * time.Microsecond
	// patience is how long a client may take for one chunk. The guest waits meanwhile, as it would for a slow line.
	patience = 10 * time.Second
)

// Hub serves one serial port. Make one by New.
type Hub struct {
	log *slog.Logger

	mu      sync.Mutex
	changed sync.Cond
	ring    ring
	// ended says that the port will say nothing more.
	ended     bool
	closed    bool
	serving   bool
	port      net.Conn
	listeners []net.Listener
	client    *client
	// seen is how far any client of the console has got.
	seen int64
	logs map[*client]bool
	wg   sync.WaitGroup

	input chan []byte
	done  chan struct{} // closed when the port will take nothing more
}

// New makes a hub that serves nobody yet.
func New(log *slog.Logger) *Hub {
	h := &Hub{log: log, ring: ring{buf: make([]byte, Kept)}, logs: map[*client]bool{}, input: make(chan []byte), done: make(chan struct{})}
	h.changed.L = &h.mu
	return h
}

// Over makes the socket of a hub that has ended, for a log that nobody will serve: who waits for one is told so.
func Over(path string) error {
	h := New(slog.New(slog.DiscardHandler))
	err := h.ServeLog(path)
	h.Close(0)
	return err
}

// ServeLog gives each client of the socket all that was kept and all that follows. It is never waited for: what a client
// does not take in time it misses, and is told how much that was. The connection ends with the port, or with the process.
func (h *Hub) ServeLog(path string) error {
	// It stays, so that who comes too late is refused and need not wait (see Print).
	return h.serve(path, true, func(conn net.Conn) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		c := &client{hub: h, conn: conn, left: make(chan struct{}), pos: h.ring.start()}
		if h.closed {
			_ = conn.Close()
			return false
		}
		h.logs[c] = true
		h.wg.Go(func() {
			c.send(nil, true)
			h.mu.Lock()
			delete(h.logs, c)
			h.mu.Unlock()
		})
		return true
	})
}

// Serve waits for QEMU to connect to the socket port, and serves clients on two others. One that comes to the socket clients gets
// what no client has seen, and then what follows; one that comes to the socket history gets all that was kept first. A client
// takes the place of the one before. A second call does nothing.
func (h *Hub) Serve(port, clients, history string) error {
	h.mu.Lock()
	serving := h.serving
	h.serving = true
	h.mu.Unlock()
	if serving {
		return nil
	}
	if err := h.serve(port, false, h.attachPort); err != nil {
		return err
	}
	if err := h.serve(clients, false, func(conn net.Conn) bool { return h.attachClient(conn, false) }); err != nil {
		return err
	}
	return h.serve(history, false, func(conn net.Conn) bool { return h.attachClient(conn, true) })
}

// serve hands the connections of a socket over until one is not followed by another. A socket that stays is there when its hub
// has gone.
func (h *Hub) serve(path string, stays bool, attach func(net.Conn) (more bool)) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("serving the serial console: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(!stays)
	// Those who run as the pod's user, and root.
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("protecting socket: %w", err), l.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return l.Close()
	}
	h.listeners = append(h.listeners, l)
	h.wg.Go(func() {
		defer func() { _ = l.Close() }()
		for {
			conn, err := l.Accept()
			if err != nil {
				h.mu.Lock()
				closed := h.closed
				h.mu.Unlock()
				if closed {
					return
				}
				h.log.Warn("Could not accept a console connection", "socket", path, "err", err)
				time.Sleep(100 * time.Millisecond) // out of descriptors or memory
				continue
			}
			if !attach(conn) {
				return
			}
		}
	})
	return nil
}

// attachPort takes QEMU's connection, the only one.
func (h *Hub) attachPort(conn net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.port != nil {
		_ = conn.Close()
		return false
	}
	h.port = conn
	h.wg.Go(func() { h.listen(conn) })
	h.wg.Go(func() { h.speak(conn) })
	return false
}

// listen takes what the guest writes.
func (h *Hub) listen(port net.Conn) {
	defer func() {
		_ = port.Close()
		close(h.done)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ended = true
		h.changed.Broadcast()
	}()
	buf := make([]byte, chunk)
	for {
		n, err := port.Read(buf)
		h.keep(buf[:n])
		if err != nil {
			return
		}
		time.Sleep(gather)
	}
}

// keep appends to what is kept, but not over what the client has yet to get.
func (h *Hub) keep(p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(p) > 0 {
		room := int64(len(p))
		if h.client != nil && !h.closed {
			room = min(room, Kept-(h.ring.end-h.client.pos))
		}
		if room == 0 {
			h.changed.Wait()
			continue
		}
		h.ring.write(p[:room])
		p = p[room:]
		h.changed.Broadcast()
	}
}

// speak gives to the guest what clients type. A guest that takes nothing holds up nobody else.
func (h *Hub) speak(port net.Conn) {
	for {
		select {
		case p := <-h.input:
			if _, err := port.Write(p); err != nil {
				return
			}
		case <-h.done:
			return
		}
	}
}

func (h *Hub) attachClient(conn net.Conn, history bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		_ = conn.Close()
		return false
	}
	before := h.client
	if before != nil {
		before.leave()
	}
	c := &client{hub: h, conn: conn, left: make(chan struct{}), done: make(chan struct{}), pos: h.ring.end}
	h.client = c
	h.changed.Broadcast()
	h.wg.Go(func() {
		defer close(c.done)
		if before != nil {
			<-before.done // what it still took has been seen
		}
		c.send(h.past(c, history), false)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.client == c {
			h.client = nil
			h.changed.Broadcast()
		}
	})
	h.wg.Go(c.listen)
	return true
}

// past is what a client gets of what was before it, which then is at the end of that.
func (h *Hub) past(c *client, history bool) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	from, cut := max(h.seen, h.ring.start()), h.ring.start() > h.seen
	if history {
		from, cut = h.ring.start(), h.ring.start() > 0
	}
	kept := make([]byte, h.ring.end-from)
	h.ring.read(kept, from)
	c.pos = h.ring.end
	h.changed.Broadcast()
	return replay(kept, cut)
}

// Close ends all connections. It waits for a while until clients have what the guest wrote last.
func (h *Hub) Close(wait time.Duration) {
	h.mu.Lock()
	h.closed = true
	for _, l := range h.listeners {
		_ = l.Close()
	}
	if h.port == nil {
		h.ended = true // it never came
	}
	h.changed.Broadcast()
	h.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		h.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-time.After(wait):
	}
	h.mu.Lock()
	if h.port != nil {
		_ = h.port.Close()
	}
	if h.client != nil {
		h.client.leave()
	}
	for c := range h.logs {
		c.leave()
	}
	h.ended = true
	h.changed.Broadcast()
	h.mu.Unlock()
	<-ended
}
