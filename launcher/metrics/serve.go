package metrics

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// Times of the service.
const (
	// refresh is the time between two writings of the disk.
	refresh = 5 * time.Second
	// pause is the least time between two answers, so that a guest cannot keep the launcher busy.
	pause = time.Second
	// retry is the time between two tries to reach QEMU's end of the channel.
	retry = 2 * time.Second
	// answerTime bounds the writing of an answer that the guest does not read.
	answerTime = 10 * time.Second
)

// invalid is the answer to what is no request.
const invalid = "INVALID REQUEST\n\n"

// Serve keeps the guest's disk fresh and answers on its channel until it is closed.
func Serve(s Source, log *slog.Logger) io.Closer {
	ctx, cancel := context.WithCancel(context.Background())
	c := &server{Source: s, log: log, cancel: cancel, pause: pause}
	if s.Disk != "" {
		c.running.Go(func() { c.keepDisk(ctx) })
	}
	if s.Socket != "" {
		c.running.Go(func() { c.keepChannel(ctx) })
	}
	return c
}

type server struct {
	Source
	log     *slog.Logger
	cancel  context.CancelFunc
	running sync.WaitGroup
	pause   time.Duration
}

// Close ends the service.
func (c *server) Close() error {
	c.cancel()
	c.running.Wait()
	return nil
}

func (c *server) keepDisk(ctx context.Context) {
	failed := false
	for {
		body, err := c.Report()
		if err == nil {
			err = WriteDisk(c.Disk, body)
		}
		if err != nil && !failed {
			c.log.Warn("Could not give the guest metrics", "err", err)
		}
		failed = err != nil
		if !sleep(ctx, refresh) {
			return
		}
	}
}

func (c *server) keepChannel(ctx context.Context) {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
		if err == nil {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			err = c.answer(ctx, conn)
			stop()
			conn.Close()
		}
		if ctx.Err() == nil {
			c.log.Debug("Channel of metrics is not open", "err", err)
		}
		if !sleep(ctx, retry) {
			return
		}
	}
}

// answer serves one connection.
func (c *server) answer(ctx context.Context, conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 4096)
	for {
		ok, err := readRequest(in)
		if err != nil {
			return err
		}
		reply := []byte(invalid)
		if ok {
			body, err := c.Report()
			if err != nil {
				return err
			}
			reply = append(body, '\n', '\n')
		}
		if err := conn.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
			return err
		}
		if _, err := conn.Write(reply); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
		if !sleep(ctx, c.pause) {
			return ctx.Err()
		}
	}
}

// readRequest reads a line and the blank one that ends the request, and tells whether it asks for metrics.
func readRequest(in *bufio.Reader) (bool, error) {
	line, err := readLine(in)
	if err != nil {
		return false, err
	}
	end, err := readLine(in)
	if err != nil {
		return false, err
	}
	method, path, _ := strings.Cut(line, " ")
	if end != "" || method != "GET" || path != "/metrics/XML" {
		// What is left of it must not be taken for the next request.
		_, err := in.Discard(in.Buffered())
		return false, err
	}
	return true, nil
}

// readLine reads a line without its end. One that does not end in time is an error: a guest is to have no way to keep us busy.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}

// sleep waits and tells whether to go on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
