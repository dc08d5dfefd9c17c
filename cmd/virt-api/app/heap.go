package app

import "sync/atomic"

// heapFloor is memory that is reserved and never touched, so that it costs none. The garbage collector counts it as in
// use, and with it lets at least as much garbage gather before it runs: a small heap under load is not collected many
// times a second.
var heapFloor atomic.Pointer[[]byte]

// holdHeapFloor reserves it.
func holdHeapFloor(bytes int) {
	floor := make([]byte, bytes)
	heapFloor.Store(&floor)
}
