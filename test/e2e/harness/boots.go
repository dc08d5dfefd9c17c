package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/e2e/harness/contract"
	"github.com/virtplane/virtplane/test/guest/serial"
)

const (
	// bootLimit is how long a test counts as booting guests at most; some are looked into by other ways than a shell.
	bootLimit = 45 * time.Second
	// bootAfterRunning is how long a guest works on after its instance runs, where nobody asks its shell.
	bootAfterRunning = 6 * time.Second
	// bootQueueLimit is more than all the others take together.
	bootQueueLimit = 10 * time.Minute
)

// boots bounds how many tests boot guests at a time, in all test programs of a run: a guest that boots wants a processor, one
// that has booted next to nothing. A test holds one place, however many guests it starts at once. Without the runner's folder
// nothing is bounded.
type boots struct {
	mu    sync.Mutex
	place *os.File
	timer *time.Timer
}

// begin takes a place, unless the test holds one.
func (b *boots) begin(t testing.TB) {
	t.Helper()
	dir := os.Getenv(contract.Boots)
	if dir == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.place == nil {
		ctx, cancel := context.WithTimeout(t.Context(), bootQueueLimit)
		defer cancel()
		place, err := takePlace(ctx, dir, runtime.NumCPU()+1)
		if err != nil {
			t.Fatal(err)
		}
		b.place = place
		b.timer = time.AfterFunc(bootLimit, b.end)
		t.Cleanup(b.end)
	}
	b.timer.Reset(bootLimit)
}

// Boots has a test count as one that boots guests, which it starts by other ways than Apply.
func Boots(t testing.TB) {
	t.Helper()
	new(boots).begin(t)
}

// soon gives the place back after a while.
func (b *boots) soon(after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.place != nil {
		b.timer.Reset(after)
	}
}

// end gives the place back.
func (b *boots) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.place != nil {
		b.timer.Stop()
		b.place.Close() // and with it the lock
		b.place = nil
	}
}

// takePlace locks one of n files.
func takePlace(ctx context.Context, dir string, n int) (*os.File, error) {
	for {
		for i := range n {
			f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(i)), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				return nil, fmt.Errorf("taking a place to boot in: %w", err)
			}
			if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
				return f, nil
			}
			f.Close()
			if err != unix.EWOULDBLOCK {
				return nil, fmt.Errorf("taking a place to boot in: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting until one of the %d places to boot in is free: %w", n, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// startsGuests says whether a manifest has machines or instances.
func startsGuests(manifest string) bool { return strings.Contains(manifest, "kind: VirtualMachine") }

// bootOf knows the cluster, and so the test, of each console that is open.
var bootOf sync.Map // of *serial.Console to *boots

func booted(console *serial.Console) {
	if b, ok := bootOf.Load(console); ok {
		b.(*boots).end()
	}
}
