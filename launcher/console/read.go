package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// ErrNobody is returned when nothing serves the log within the time to wait.
var ErrNobody = errors.New("nobody serves the guest's console")

// ErrOver is returned when the hub has served its log and has ended since.
var ErrOver = errors.New("the guest has ended before its console was read")

const (
	// retry is the pause between two tries to connect.
	retry = 200 * time.Millisecond
	// refusals in a row say that the hub has ended: its socket stays, and one that has only just been made is listened on at once.
	refusals = 3
)

// Print copies the log that a hub serves on a socket to w until it ends. It waits for a while for the hub to appear, unless it
// has come and gone. Only the wait is bound to ctx: what the guest says at its end is printed even if everything is told to end.
func Print(ctx context.Context, path string, wait time.Duration, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := dial(ctx, path)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{conn}, make([]byte, chunk)); err != nil {
		return fmt.Errorf("printing the guest's console: %w", err)
	}
	return nil
}

// dial waits for a hub that is not there yet, and not for one that is there no more.
func dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	for refused := 0; ; {
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			refused = 0
		} else if refused++; refused == refusals {
			return nil, ErrOver
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNobody, err)
		case <-time.After(retry):
		}
	}
}
