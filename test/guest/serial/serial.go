// Package serial talks to a guest over its serial console the way a person would: it waits for text, types
// lines, and runs commands in a shell. When a wait fails, the error shows what the guest had said.
//
// It must not know what carries the console: a socket of QEMU, a WebSocket of the API, a test's pipe.
package serial

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultTimeout bounds a wait whose context has no deadline.
	DefaultTimeout = 2 * time.Minute
	// maxKept bounds what is kept of the guest's output; older bytes go first.
	maxKept = 1 << 20
	// shownLines is how much of the output an error shows.
	shownLines = 25
)

// Console is one connection to a console. Its waits consume text: what Expect has matched, no later wait sees.
// One goroutine at a time may wait; Send may be called beside it.
type Console struct {
	rw io.ReadWriter

	mu      sync.Mutex
	filter  filter
	text    []byte // printable output, not yet consumed from pos on
	pos     int
	dropped bool
	err     error         // why reading ended
	changed chan struct{} // closed and replaced when text or err changes

	// session tells the marks of this connection's commands from those of earlier ones: a console repeats what it has shown.
	session  string
	commands atomic.Int64
}

// New starts to read from rw. Close rw to end that.
func New(rw io.ReadWriter) *Console {
	c := &Console{rw: rw, changed: make(chan struct{}), session: strings.ToLower(rand.Text()[:8])}
	go c.read()
	return c
}

func (c *Console) read() {
	buf := make([]byte, 4096)
	for {
		n, err := c.rw.Read(buf)
		c.mu.Lock()
		c.text = c.filter.append(c.text, buf[:n])
		c.pos = min(c.pos, c.filter.low)
		if extra := len(c.text) - maxKept; extra > 0 {
			c.text = append(c.text[:0], c.text[extra:]...)
			c.pos = max(0, c.pos-extra)
			c.dropped = true
		}
		c.err = err
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Error is a wait that failed.
type Error struct {
	// Wanted is the pattern that did not come.
	Wanted string
	// Transcript is all that the guest said.
	Transcript string
	Err        error
}

func (e *Error) Error() string {
	lines := strings.Split(strings.TrimRight(e.Transcript, "\n"), "\n")
	from := max(0, len(lines)-shownLines)
	var b strings.Builder
	fmt.Fprintf(&b, "waiting for %q on the console: %v; the last lines were:", e.Wanted, e.Err)
	for _, l := range lines[from:] {
		b.WriteString("\n  | " + l)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ErrTimeout is why a wait ended without the context's own deadline.
var ErrTimeout = errors.New("timed out")

// Expect waits until the output since the last match matches the regular expression, and returns the match and
// its groups. Lines end in "\n" and escape sequences are left out, so ^ and $ work with (?m).
func (c *Console) Expect(ctx context.Context, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, DefaultTimeout, ErrTimeout)
		defer cancel()
	}
	for {
		groups, changed, ended := c.match(re)
		if groups != nil {
			return groups, nil
		}
		if ended != nil {
			return nil, &Error{Wanted: pattern, Transcript: c.Transcript(), Err: fmt.Errorf("the console closed: %w", ended)}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, &Error{Wanted: pattern, Transcript: c.Transcript(), Err: context.Cause(ctx)}
		}
	}
}

func (c *Console) match(re *regexp.Regexp) (groups []string, changed <-chan struct{}, ended error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.text[c.pos:]
	at := re.FindSubmatchIndex(rest)
	if at == nil {
		return nil, c.changed, c.err
	}
	for i := 0; i < len(at); i += 2 {
		group := ""
		if at[i] >= 0 {
			group = string(rest[at[i]:at[i+1]])
		}
		groups = append(groups, group)
	}
	c.pos += at[1]
	return groups, nil, nil
}

// Send types a line and the return key.
func (c *Console) Send(line string) error { return c.Type(line + "\r") }

// Type types text as it is; "\x03" is control-C.
func (c *Console) Type(text string) error {
	if _, err := io.WriteString(c.rw, text); err != nil {
		return fmt.Errorf("typing on the console: %w", err)
	}
	return nil
}

// Run runs a shell command at the prompt of a shell that waits for input, and returns what it printed without
// the last line end. A status other than 0 is an *ExitError.
func (c *Console) Run(ctx context.Context, command string) (string, error) {
	// The quotes keep the shell's echo of the line from looking like the marks it prints.
	mark := c.session + strconv.FormatInt(c.commands.Add(1), 10)
	line := fmt.Sprintf(`echo "vp"start-%s; { %s; }; echo "vp"end-%s=$?`, mark, command, mark)
	if err := c.Send(line); err != nil {
		return "", err
	}
	if _, err := c.Expect(ctx, "vpstart-"+mark+"\n"); err != nil {
		return "", err
	}
	got, err := c.Expect(ctx, `(?s)^(.*?)\n?vpend-`+mark+`=(\d+)\n`)
	if err != nil {
		return "", err
	}
	if got[2] != "0" {
		return got[1], &ExitError{Command: command, Status: got[2], Output: got[1]}
	}
	return got[1], nil
}

// WaitShell waits until a shell answers. What is typed while its guest boots may be lost in part, and a shell that got the rest
// waits for the end of a quotation for ever: each further try begins with an interrupt.
func (c *Console) WaitShell(ctx context.Context) error {
	for limit := 2 * time.Second; ; limit = min(2*limit, 10*time.Second) {
		try, cancel := context.WithTimeout(ctx, limit)
		_, err := c.Run(try, "true")
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no shell on the console: %w", err)
		}
		if err := c.Type("\x03\r"); err != nil {
			return err
		}
	}
}

// ExitError is a command that ended with a status other than 0.
type ExitError struct {
	Command, Status, Output string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("command %q ended with status %s: %s", e.Command, e.Status, e.Output)
}

// Login waits for a login prompt with this host name, logs in, and leaves the shell at its prompt. An empty
// host matches any.
func (c *Console) Login(ctx context.Context, host, user, password string) error {
	if host == "" {
		host = `\S+`
	} else {
		host = regexp.QuoteMeta(host)
	}
	// A prompt that came before someone listened comes again after a return.
	if err := c.Send(""); err != nil {
		return err
	}
	got, err := c.Expect(ctx, `(?m)^`+host+` login: \z|^\S+@`+host+`:\S*[$#] \z`)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(got[0], " login: ") { // somebody has left a shell behind
		if err := c.Logout(ctx); err != nil {
			return err
		}
	}
	if err := c.Send(user); err != nil {
		return err
	}
	if _, err := c.Expect(ctx, `Password: `); err != nil {
		return err
	}
	if err := c.Send(password); err != nil {
		return err
	}
	if got, err = c.Expect(ctx, `(?m)(Login incorrect)|[$#] $`); err != nil {
		return err
	}
	if got[1] != "" {
		return &Error{Wanted: "a shell prompt", Transcript: c.Transcript(), Err: errors.New("the login was refused")}
	}
	return nil
}

// Logout leaves the shell that Login has come to, and waits for the next login prompt.
func (c *Console) Logout(ctx context.Context) error {
	if err := c.Send("exit"); err != nil {
		return err
	}
	_, err := c.Expect(ctx, `(?m)^\S+ login: `)
	return err
}

// Transcript is what the guest has said so far, without escape sequences, at most the last MiB of it.
func (c *Console) Transcript() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped {
		return "[earlier output dropped]\n" + string(c.text)
	}
	return string(c.text)
}
