package guestfs

import "os"

// Windows has no signal for a window that changes its size: the size at the start stays.
func notifyResize(chan<- os.Signal) {}
func stopResize(chan<- os.Signal)   {}
