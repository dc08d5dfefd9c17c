// Package qmp is a client of the QEMU Machine Protocol: commands with ids and deadlines, events fanned out to
// subscribers, file descriptors passed along. It knows the protocol and the commands that the launcher sends; it must
// not know why they are sent, nor keep any state of the guest.
package qmp
