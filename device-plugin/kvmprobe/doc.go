// Package kvmprobe finds out whether /dev/kvm of this machine is fast enough to offer. On some para-virtual hosts the
// device exists and runs code correctly, but by emulating each instruction, a thousand times too slow for any guest.
//
// The probe runs a fixed 64-bit loop in a virtual CPU of its own and takes the time. It does so in a child process,
// because an ioctl that a kernel never answers cannot be cancelled otherwise. The package must not know who asks, nor
// what is done with the answer.
package kvmprobe
