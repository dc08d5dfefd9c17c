package console

// ring keeps the last bytes of a stream. Positions count from the stream's beginning.
type ring struct {
	buf []byte
	end int64
}

// start is the position of the oldest byte that is kept.
func (r *ring) start() int64 { return max(0, r.end-int64(len(r.buf))) }

// write appends, at the cost of the oldest bytes.
func (r *ring) write(p []byte) {
	for len(p) > 0 {
		n := copy(r.buf[r.end%int64(len(r.buf)):], p)
		r.end += int64(n)
		p = p[n:]
	}
}

// read fills p from a position on, which must be kept still, and gives the number of bytes.
func (r *ring) read(p []byte, from int64) int {
	n := 0
	for n < len(p) && from < r.end {
		at := from % int64(len(r.buf))
		k := copy(p[n:], r.buf[at:min(int64(len(r.buf)), at+r.end-from)])
		n += k
		from += int64(k)
	}
	return n
}
