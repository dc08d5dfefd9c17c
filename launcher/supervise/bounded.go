package supervise

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// What QEMU may write to the pod's log, in bytes: at once, and in a second. It complains of what its guest does, and a guest
// can do it as often as it likes.
const (
	wordsAtOnce    = 64 << 10
	wordsPerSecond = 256
)

// bounded leaves out of a stream what comes too fast, and says how much that was when there is room again.
type bounded struct {
	to  io.Writer
	now func() time.Time

	mu     sync.Mutex
	room   int64
	filled time.Time
	lost   int64
}

func newBounded(to io.Writer, now func() time.Time) *bounded {
	return &bounded{to: to, now: now, room: wordsAtOnce, filled: now()}
}

// Write takes everything: what is left out must not stop QEMU.
func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if more := int64(b.now().Sub(b.filled) / time.Second); more > 0 {
		b.room, b.filled = min(wordsAtOnce, b.room+more*wordsPerSecond), b.filled.Add(time.Duration(more)*time.Second)
	}
	if int64(len(p)) > b.room {
		b.lost += int64(len(p))
		return len(p), nil
	}
	b.room -= int64(len(p))
	if b.lost > 0 {
		_, _ = fmt.Fprintf(b.to, "[%d bytes of QEMU's messages are left out here]\n", b.lost)
		b.lost = 0
	}
	_, _ = b.to.Write(p)
	return len(p), nil
}
