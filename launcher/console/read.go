package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// ErrNobody is returned when nothing serves the log within the time to wait.
var ErrNobody = errors.New("nobody serves the guest's console")

// ErrOver is returned when the hub has served its log and has ended since.
var ErrOver = errors.New("the guest has ended before its console was read")

const (
	// retry is the pause after a refusal, seldom the time after which one looks again without having been told to.
	retry  = 200 * time.Millisecond
	seldom = 2 * time.Second
	// refusals in a row say that the hub has ended: its socket stays, and one that has only just been made is listened on at once.
	refusals = 3
)

// Print copies the log that a hub serves on a socket to w until it ends. It waits for the hub to appear, for a while or, if wait
// is 0, until ctx ends, unless the hub has come and gone. Only the wait is bound to ctx: what the guest says at its end is printed
// even if everything is told to end.
func Print(ctx context.Context, path string, wait time.Duration, w io.Writer) error {
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
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
	came, stop := watch(filepath.Dir(path))
	defer stop()
	for refused := 0; ; {
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return conn, nil
		}
		var again <-chan time.Time // one who is told of changes need not look without one
		if !errors.Is(err, syscall.ECONNREFUSED) {
			if refused = 0; came == nil {
				again = time.After(seldom)
			}
		} else if refused++; refused == refusals {
			return nil, ErrOver
		} else {
			again = time.After(retry)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNobody, err)
		case <-came:
		case <-again:
		}
	}
}

// watch tells that something in a folder has changed. A node has few watches for a user, and many pods have one: who gets none
// looks now and then.
func watch(dir string) (<-chan struct{}, func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	stop := func() { _ = w.Close() }
	if err := w.Add(dir); err != nil {
		return nil, stop
	}
	came := make(chan struct{}, 1)
	go func() {
		for ok := true; ok; {
			select {
			case _, ok = <-w.Events:
			case _, ok = <-w.Errors: // events may be lost
			}
			select {
			case came <- struct{}{}:
			default:
			}
		}
	}()
	return came, stop
}
