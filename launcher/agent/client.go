package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// Errors of the agent's channel.
var (
	// ErrTimeout is returned when the agent did not answer in time: it hangs, was stopped, or never ran.
	ErrTimeout = errors.New("guest agent: no answer in time")
	// ErrClosed is returned when QEMU has closed the channel.
	ErrClosed = errors.New("guest agent: channel closed")
	// ErrAnswer is returned when the answer is too large or is no answer.
	ErrAnswer = errors.New("guest agent: answer cannot be understood")
)

// Error is the agent's refusal.
type Error struct {
	Command, Class, Desc string
}

func (e *Error) Error() string {
	return fmt.Sprintf("guest agent: %s: %s (%s)", e.Command, e.Desc, e.Class)
}

// maxAnswer bounds one answer; a guest with a thousand interfaces stays below it.
const maxAnswer = 4 << 20

// DefaultTimeout is what a command may take.
const DefaultTimeout = 5 * time.Second

// Client is a channel to the agent. It serves one command at a time and is of no use after an error other than *Error.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
}

// Dial connects to the channel's socket and finds the beginning of the agent's answers.
func Dial(ctx context.Context, socket string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("guest agent: %w", err)
	}
	c := New(conn)
	if err := c.sync(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// New speaks over conn and owns it. The caller has yet to find the beginning of the answers.
func New(conn net.Conn) *Client {
	return &Client{conn: conn, r: bufio.NewReaderSize(conn, 4096)}
}

// Close ends the connection to the channel; the agent does not notice.
func (c *Client) Close() error { return c.conn.Close() }

// sentinel begins the answer to guest-sync-delimited. It never stands in JSON.
const sentinel = 0xff

// sync throws away what the agent still had to say to somebody before. The sentinel in front has the agent drop half
// a command that it may have read.
func (c *Client) sync(ctx context.Context) error {
	stop, err := c.begin(ctx, DefaultTimeout)
	if err != nil {
		return err
	}
	defer stop()
	id := rand.Int64N(1 << 52)
	if err := c.write("guest-sync-delimited", map[string]any{"id": id}, sentinel); err != nil {
		return err
	}
	for read := 0; read < maxAnswer; {
		old, err := c.r.ReadSlice(sentinel)
		read += len(old)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return c.explain(ctx, err)
		}
		var got int64
		if err := c.answer(ctx, "guest-sync-delimited", &got); err != nil {
			return err
		}
		if got == id {
			return nil
		}
	}
	return fmt.Errorf("%w: no end of old answers", ErrAnswer)
}

// Execute sends a command and decodes its answer into result unless that is nil.
func (c *Client) Execute(ctx context.Context, command string, arguments, result any) error {
	return c.execute(ctx, DefaultTimeout, command, arguments, result)
}

// execute is Execute for a command that may take as long as limit.
func (c *Client) execute(ctx context.Context, limit time.Duration, command string, arguments, result any) error {
	stop, err := c.begin(ctx, limit)
	if err != nil {
		return err
	}
	defer stop()
	if err := c.write(command, arguments); err != nil {
		return err
	}
	return c.answer(ctx, command, result)
}

// Notify sends a command that has no answer when it succeeds, such as guest-shutdown.
func (c *Client) Notify(ctx context.Context, command string, arguments any) error {
	stop, err := c.begin(ctx, DefaultTimeout)
	if err != nil {
		return err
	}
	defer stop()
	return c.write(command, arguments)
}

// begin puts the context's end, or that of limit, on the connection.
func (c *Client) begin(ctx context.Context, limit time.Duration) (func(), error) {
	deadline := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }, nil
}

func (c *Client) write(command string, arguments any, prefix ...byte) error {
	raw, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return fmt.Errorf("guest agent: %s: encoding arguments: %w", command, err)
	}
	if _, err := c.conn.Write(append(append(prefix, raw...), '\n')); err != nil {
		return c.explain(context.Background(), err)
	}
	return nil
}

// answer reads one line.
func (c *Client) answer(ctx context.Context, command string, result any) error {
	var line []byte
	for {
		part, err := c.r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return c.explain(ctx, err)
		}
		if len(line) > maxAnswer {
			return fmt.Errorf("%w: %s: more than %d bytes", ErrAnswer, command, maxAnswer)
		}
	}
	var a struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Class string `json:"class"`
			Desc  string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(bytes.TrimSpace(line), &a); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrAnswer, command, err)
	}
	if a.Error != nil {
		return &Error{Command: command, Class: Clean(a.Error.Class), Desc: Clean(a.Error.Desc)}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(a.Return, result); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrAnswer, command, err)
	}
	return nil
}

func (c *Client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrTimeout, context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, io.EOF):
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// IsUnknown says whether the agent does not know the command, or may not do it.
func IsUnknown(err error) bool {
	var no *Error
	return errors.As(err, &no) && (no.Class == "CommandNotFound" || no.Class == "CommandDisabled")
}
