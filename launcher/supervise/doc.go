// Package supervise is the first process of a launcher pod and the line between it and the launcher proper.
//
// The first process starts the launcher, starts QEMU when the launcher asks for it, starts the launcher again when it
// dies, takes the exit statuses of all, and ends when QEMU has ended. QEMU is its child and not the launcher's, so
// that the death of the launcher, which speaks to the network and parses what guests send, costs nobody a guest.
//
// It must stay small: it decides nothing about guests, reads no image and opens no network socket.
package supervise
