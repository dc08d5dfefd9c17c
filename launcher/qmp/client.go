package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Version is that of the QEMU behind a connection.
type Version struct {
	Major, Minor, Micro int
	Package             string
}

func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
	if v.Package != "" {
		s += " (" + v.Package + ")"
	}
	return s
}

// Client is one QMP connection. Its methods may be called from any goroutine; a command that waits holds up no other.
type Client struct {
	conn    net.Conn
	dec     *decoder
	log     transcript
	version Version

	writeMu sync.Mutex
	nextID  atomic.Uint64

	mu      sync.Mutex
	pending map[string]*call
	err     error // why the connection ended
	ended   chan struct{}

	events  fanOut
	strays  atomic.Uint64
	closing atomic.Bool
}

// call is a command that waits for its reply.
type call struct {
	command string
	reply   chan *message // holds one, so that the reader never waits
}

// Option changes how a Client is made.
type Option func(*Client)

// WithTranscript has the client log the conversation at debug level, secrets masked.
func WithTranscript(l *slog.Logger) Option { return func(c *Client) { c.log.log = l } }

// New speaks QMP's handshake on conn and owns conn from then on, also when it fails.
func New(ctx context.Context, conn net.Conn, opts ...Option) (*Client, error) {
	c := &Client{conn: conn, dec: newDecoder(conn), pending: map[string]*call{}, ended: make(chan struct{})}
	for _, o := range opts {
		o(c)
	}
	if err := c.handshake(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) handshake(ctx context.Context) error {
	deadline := time.Now().Add(TimeoutOf("qmp_capabilities"))
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("qmp: setting deadline: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
	m, err := c.dec.next()
	if !stop() && ctx.Err() != nil {
		return fmt.Errorf("qmp: waiting for greeting: %w", ctx.Err())
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: no greeting: is another client connected?", ErrTimeout)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w before its greeting", ErrClosed)
	case err != nil:
		return fmt.Errorf("qmp: reading greeting: %w", err)
	case m.Greeting == nil:
		return fmt.Errorf("%w: first message is no greeting", ErrProtocol)
	}
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("qmp: clearing deadline: %w", err)
	}
	q := m.Greeting.Version.QEMU
	c.version = Version{Major: q.Major, Minor: q.Minor, Micro: q.Micro, Package: m.Greeting.Version.Package}
	go c.read()
	if err := c.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		c.Close()
		return err
	}
	return nil
}

// Version tells which QEMU answered.
func (c *Client) Version() Version { return c.version }

// Subscribe gives the events from now on, at most buffer of them unread.
func (c *Client) Subscribe(buffer int) *Subscription { return c.events.add(buffer) }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.ended }

// Err tells why the connection has ended; nil while it lives.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Strays counts the replies that nobody waited for, those that came after their command's time included.
func (c *Client) Strays() uint64 { return c.strays.Load() }

// Close ends the connection; commands that wait fail with ErrClosed.
func (c *Client) Close() error {
	c.closing.Store(true)
	err := c.conn.Close()
	<-c.ended
	return err
}

// Execute sends a command and waits for its reply, which it decodes into result unless that is nil. It returns an
// *Error if QEMU refused, ErrTimeout if no reply came in time, ErrClosed if the connection ended.
func (c *Client) Execute(ctx context.Context, command string, arguments, result any) error {
	return c.ExecuteFiles(ctx, command, arguments, result)
}

// ExecuteFiles is Execute with file descriptors passed along, for getfd and add-fd. The files stay the caller's.
func (c *Client) ExecuteFiles(ctx context.Context, command string, arguments, result any, files ...*os.File) error {
	ctx, cancel := context.WithTimeoutCause(ctx, TimeoutOf(command), ErrTimeout)
	defer cancel()
	id := strconv.FormatUint(c.nextID.Add(1), 10)
	req := request{Execute: command, Arguments: arguments, ID: id}
	raw, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("qmp %s: encoding arguments: %w", command, err)
	}
	waiting := &call{command: command, reply: make(chan *message, 1)}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return fmt.Errorf("qmp %s: %w", command, c.err)
	}
	c.pending[id] = waiting
	c.mu.Unlock()
	defer c.forget(id)

	c.log.sent(req)
	if err := c.write(ctx, append(raw, '\n'), files); err != nil {
		return fmt.Errorf("qmp %s: %w", command, err)
	}
	select {
	case m := <-waiting.reply:
		return finish(command, m, result)
	case <-c.ended:
		// The reply to quit and the end of the connection come together.
		select {
		case m := <-waiting.reply:
			return finish(command, m, result)
		default:
		}
		return fmt.Errorf("qmp %s: %w", command, c.Err())
	case <-ctx.Done():
		return fmt.Errorf("qmp %s: %w", command, context.Cause(ctx))
	}
}

func finish(command string, m *message, result any) error {
	if m.Error != nil {
		return &Error{Command: command, Class: m.Error.Class, Desc: m.Error.Desc}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Return, result); err != nil {
		return fmt.Errorf("qmp %s: decoding reply: %w", command, err)
	}
	return nil
}

func (c *Client) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// write sends one command whole. A command that was written in part has spoilt the stream: the connection ends.
func (c *Client) write(ctx context.Context, raw []byte, files []*os.File) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	deadline, _ := ctx.Deadline()
	if err := c.conn.SetWriteDeadline(deadline); err != nil {
		return fmt.Errorf("setting deadline: %w", err)
	}
	n, err := writeFiles(c.conn, raw, files)
	if err == nil && n < len(raw) {
		_, err = c.conn.Write(raw[n:])
	}
	if err == nil {
		return nil
	}
	if n > 0 {
		c.conn.Close()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: QEMU does not read", ErrTimeout)
	}
	if ended := c.Err(); ended != nil {
		return ended
	}
	return fmt.Errorf("writing: %w", err)
}

// read gives replies to those who wait and events to those who listen, until the connection ends.
func (c *Client) read() {
	var err error
	for {
		var m *message
		if m, err = c.dec.next(); err != nil {
			break
		}
		if m.Event != "" {
			e := Event{Name: m.Event, Data: m.Data, Time: m.Timestamp.time()}
			c.log.event(e)
			c.events.send(e)
			continue
		}
		c.deliver(m)
	}
	switch {
	case c.closing.Load(), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		err = ErrClosed
	default:
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	c.conn.Close()
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.ended)
	c.events.close()
}

func (c *Client) deliver(m *message) {
	var id string
	// A reply without an id is QEMU's complaint about something that it could not parse: nobody waits for it.
	_ = json.Unmarshal(m.ID, &id)
	c.mu.Lock()
	waiting, ok := c.pending[id]
	delete(c.pending, id)
	c.mu.Unlock()
	if !ok || (m.Return == nil && m.Error == nil) {
		c.strays.Add(1)
		return
	}
	c.log.replied(waiting.command, id, m)
	waiting.reply <- m
}
