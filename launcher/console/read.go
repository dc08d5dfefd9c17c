package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrNobody is returned when nothing serves the log within the time to wait.
var ErrNobody = errors.New("nobody serves the guest's console")

// retry is the pause between two tries to connect.
const retry = 200 * time.Millisecond

// Print copies the log that a hub serves on a socket to w until it ends, waiting for a while for the hub to appear. Only the
// wait is bound to ctx: what the guest says at its end is printed even if everything is told to end.
func Print(ctx context.Context, path string, wait time.Duration, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	for err != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNobody, err)
		case <-time.After(retry):
		}
		conn, err = d.DialContext(ctx, "unix", path)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{conn}, make([]byte, chunk)); err != nil {
		return fmt.Errorf("printing the guest's console: %w", err)
	}
	return nil
}
