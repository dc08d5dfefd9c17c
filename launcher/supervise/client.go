package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// ErrGone is returned when the first process has closed the line.
var ErrGone = errors.New("the pod's first process is gone")

// Client is the launcher's end of the line.
type Client struct {
	conn net.Conn

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan reply
	err     error

	changes chan Status
	gone    chan struct{}
}

// Attach takes over the inherited file descriptor of the line.
func Attach(fd int) (*Client, error) {
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "supervisor")
	if f == nil {
		return nil, fmt.Errorf("file descriptor %d of the pod's first process is not open", fd)
	}
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("file descriptor %d of the pod's first process: %w", fd, err)
	}
	return NewClient(conn), nil
}

// NewClient speaks over conn and owns it.
func NewClient(conn net.Conn) *Client {
	c := &Client{conn: conn, waiting: map[uint64]chan reply{}, changes: make(chan Status, 1), gone: make(chan struct{})}
	go c.read()
	return c
}

// Changes gives the newest status after each change; older ones that nobody read are dropped. It is never closed.
func (c *Client) Changes() <-chan Status { return c.changes }

// Gone is closed when the first process has closed the line.
func (c *Client) Gone() <-chan struct{} { return c.gone }

// Close ends the line.
func (c *Client) Close() error { return c.conn.Close() }

// Status asks for the status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return c.ask(ctx, request{Op: opStatus})
}

// Spawn starts QEMU and gives its process id. A QEMU that was started before is not started again.
func (c *Client) Spawn(ctx context.Context, s Spawn) (Status, error) {
	return c.ask(ctx, request{Op: opSpawn, Spawn: &s})
}

// Signal sends QEMU a signal. If it has ended, nothing happens.
func (c *Client) Signal(ctx context.Context, s syscall.Signal) error {
	_, err := c.ask(ctx, request{Op: opSignal, Signal: int(s)})
	return err
}

// Finish says that all has been told that there is to tell about QEMU's end, or that none will be started: the pod may
// end. From then on no QEMU is started.
func (c *Client) Finish(ctx context.Context, o Outcome) error {
	_, err := c.ask(ctx, request{Op: opFinish, Outcome: &o})
	return err
}

func (c *Client) ask(ctx context.Context, r request) (Status, error) {
	answer := make(chan reply, 1)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return Status{}, c.err
	}
	c.nextID++
	r.ID = c.nextID
	c.waiting[r.ID] = answer
	raw, err := json.Marshal(r)
	if err == nil {
		_, err = c.conn.Write(append(raw, '\n'))
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, r.ID)
		c.mu.Unlock()
	}()
	if err != nil {
		return Status{}, fmt.Errorf("%w: %s: %w", ErrGone, r.Op, err)
	}
	select {
	case a := <-answer:
		if a.Error != "" {
			return a.Status, fmt.Errorf("%s: %s", r.Op, a.Error)
		}
		return a.Status, nil
	case <-c.gone:
		return Status{}, fmt.Errorf("%s: %w", r.Op, ErrGone)
	case <-ctx.Done():
		return Status{}, fmt.Errorf("%s: waiting for the pod's first process: %w", r.Op, context.Cause(ctx))
	}
}

func (c *Client) read() {
	d := json.NewDecoder(c.conn)
	for {
		var r reply
		if err := d.Decode(&r); err != nil {
			break
		}
		if r.ID == 0 {
			c.publish(r.Status)
			continue
		}
		c.mu.Lock()
		answer := c.waiting[r.ID]
		c.mu.Unlock()
		if answer != nil {
			answer <- r
		}
	}
	c.conn.Close()
	c.mu.Lock()
	c.err = ErrGone
	c.mu.Unlock()
	close(c.gone)
}

// publish replaces what nobody has read yet. Only read calls it.
func (c *Client) publish(s Status) {
	for {
		select {
		case c.changes <- s:
			return
		default:
		}
		select {
		case <-c.changes:
		default:
		}
	}
}
