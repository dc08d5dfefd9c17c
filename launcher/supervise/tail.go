package supervise

import (
	"strings"
	"sync"
)

// tail keeps the end of a stream.
type tail struct {
	mu   sync.Mutex
	most int
	buf  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if n >= t.most {
		t.buf = append(t.buf[:0], p[n-t.most:]...)
		return n, nil
	}
	if over := len(t.buf) + n - t.most; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// String gives whole lines where it can, as valid text.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := string(t.buf)
	if len(t.buf) == t.most {
		if _, rest, ok := strings.Cut(s, "\n"); ok {
			s = rest
		}
	}
	return strings.TrimSpace(strings.ToValidUTF8(s, "?"))
}
