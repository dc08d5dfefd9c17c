package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"k8s.io/client-go/rest"
)

const (
	// Protocol is the subprotocol of raw byte streams: binary frames both ways, nothing around the bytes.
	Protocol = "plain.kubevirt.io"
	// maxFrame is the largest frame we take; the server sends at most 10 KiB.
	maxFrame = 1 << 20
	// openTimeout bounds the opening of a stream.
	openTimeout = 30 * time.Second
)

// Stream is a byte stream to an instance. One goroutine may read and another write.
type Stream struct {
	conn   *websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
	rest   []byte
	ahead  chan frame
}

// frame is what one read of a connection gave.
type frame struct {
	data []byte
	err  error
}

// Stream opens a byte stream, which ctx bounds. When the server refuses, the error is the server's own Status.
func (c *Cluster) Stream(ctx context.Context, where string) (*Stream, error) {
	target, err := c.url(where)
	if err != nil {
		return nil, err
	}
	transport, err := c.upgrader()
	if err != nil {
		return nil, err
	}
	var refused refusal
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(openTimeout, func() { cancel(fmt.Errorf("the server did not open it within %s", openTimeout)) })
	c.env.Trace(4, "opening %s", target.RequestURI())
	conn, _, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &keepRefusal{transport, &refused}}, Subprotocols: []string{Protocol}, CompressionMode: websocket.CompressionDisabled,
	})
	timer.Stop()
	if err != nil {
		err = because(ctx, err)
		cancel(nil)
		if refused.code != 0 {
			return nil, c.noRoute(parent, where, statusError(refused.code, refused.body))
		}
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	c.env.Trace(4, "the stream is open")
	conn.SetReadLimit(maxFrame)
	return &Stream{conn: conn, ctx: ctx, cancel: func() { cancel(nil) }}, nil
}

// upgrader is a transport that authenticates as the kubeconfig says and speaks HTTP/1.1 only: HTTP/2 has no upgrade.
func (c *Cluster) upgrader() (http.RoundTripper, error) {
	tlsConfig, err := rest.TLSConfigFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS configuration: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsConfig
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	transport.ForceAttemptHTTP2 = false
	if c.Config.Proxy != nil {
		transport.Proxy = c.Config.Proxy
	}
	if c.Config.Dial != nil {
		transport.DialContext = c.Config.Dial
	}
	authenticated, err := rest.HTTPWrappersForConfig(c.Config, transport)
	if err != nil {
		return nil, fmt.Errorf("building the client: %w", err)
	}
	return authenticated, nil
}

// refusal is the whole answer of a server that did not open a stream; the WebSocket library shows only its beginning.
type refusal struct {
	code int
	body []byte
}

type keepRefusal struct {
	next http.RoundTripper
	kept *refusal
}

func (k *keepRefusal) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := k.next.RoundTrip(req)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what arrived is better than nothing
		resp.Body.Close()
		*k.kept = refusal{resp.StatusCode, body}
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	return resp, err
}

// framesAhead is how many frames ReadAhead holds.
const framesAhead = 16

// ReadAhead begins to read before anybody asks for what is read. The other side's pings are answered only by a reader, so a
// stream that waits for its user needs it to live.
func (s *Stream) ReadAhead() {
	s.ahead = make(chan frame, framesAhead)
	go func() {
		defer close(s.ahead)
		for {
			data, err := s.receive()
			select {
			case s.ahead <- frame{data, err}:
			case <-s.ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
}

// Datagram reads one frame, which is one datagram where the stream carries those. It ends with io.EOF when the other side
// closes in order. Frames that are not binary carry nothing for us.
func (s *Stream) Datagram() ([]byte, error) {
	if s.ahead == nil {
		return s.receive()
	}
	f, ok := <-s.ahead
	if !ok {
		return nil, io.EOF
	}
	return f.data, f.err
}

func (s *Stream) receive() ([]byte, error) {
	for {
		kind, data, err := s.conn.Read(s.ctx)
		switch {
		case err == nil && kind == websocket.MessageBinary:
			return data, nil
		case err == nil:
			continue
		case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
			return nil, io.EOF
		case s.ctx.Err() != nil:
			return nil, context.Cause(s.ctx)
		}
		return nil, fmt.Errorf("%w%s", ErrDisconnected, closeReason(err))
	}
}

// ErrDisconnected is the end of a stream that neither side asked for.
var ErrDisconnected = errors.New("the connection broke")

func closeReason(err error) string {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		if closed.Reason != "" {
			return ": " + closed.Reason
		}
		return fmt.Sprintf(": the server closed it with code %d", closed.Code)
	}
	return ": " + err.Error()
}

// Read implements io.Reader.
func (s *Stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		data, err := s.Datagram()
		if err != nil {
			return 0, err
		}
		s.rest = data
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write sends one frame.
func (s *Stream) Write(p []byte) (int, error) {
	if err := s.conn.Write(s.ctx, websocket.MessageBinary, p); err != nil {
		return 0, fmt.Errorf("%w%s", ErrDisconnected, closeReason(err))
	}
	return len(p), nil
}

// Close closes in order and frees what the stream holds. It waits a few seconds for the other side at most.
func (s *Stream) Close() error {
	defer s.cancel()
	return s.conn.Close(websocket.StatusNormalClosure, "")
}

// Abort drops the connection.
func (s *Stream) Abort() {
	s.cancel()
	_ = s.conn.CloseNow()
}

// HalfClosed is how long Join waits for what the guest still says, without a byte of it, after the local side has ended: a
// WebSocket cannot tell the guest that it has.
const HalfClosed = 10 * time.Second

// Join copies between a local connection and a stream until one of them ends. When local says no more, the guest may
// finish what it says, with linger between its words; with none, the end of local is the end. The end of either in order
// is no error. Both are closed when Join returns.
func Join(local io.ReadWriter, s *Stream, linger time.Duration, closeLocal func()) error {
	var idle *time.Timer
	var lock sync.Mutex
	touch := func(start bool) {
		lock.Lock()
		defer lock.Unlock()
		switch {
		case idle != nil:
			idle.Reset(linger)
		case start:
			idle = time.AfterFunc(linger, s.Abort)
		}
	}
	ended := false
	var sent error
	go func() {
		_, err := io.Copy(onlyWriter{s}, local)
		lock.Lock()
		// A local side that breaks off has ended too.
		ended, sent = !errors.Is(err, ErrDisconnected), err
		lock.Unlock()
		switch {
		case err != nil:
			s.Abort()
		case linger == 0:
			_ = s.Close()
		default:
			touch(true)
		}
	}()
	_, err := io.Copy(touchingWriter{local, func() { touch(false) }}, onlyReader{s})
	lock.Lock()
	over, broke := ended, sent
	if idle != nil {
		idle.Stop()
	}
	lock.Unlock()
	closeLocal()
	_ = s.Close()
	switch {
	case over:
		return nil // the local side had all that it asked for
	case broke != nil:
		return broke
	}
	return err
}

// onlyWriter and onlyReader hide what else io.Copy would look for.
type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

type touchingWriter struct {
	io.Writer
	touch func()
}

func (w touchingWriter) Write(p []byte) (int, error) {
	w.touch()
	return w.Writer.Write(p)
}
