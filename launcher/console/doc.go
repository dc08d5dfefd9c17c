// Package console stands between QEMU's serial port and those who look at it. It takes all that the guest writes from the
// first byte on, keeps the end of it, and gives it to the client of the moment: first what no client has seen yet, or all that was
// kept if it asks for that, then what follows, without a gap between the two. It lives in the pod's first process, so that neither the launcher nor the node agent can
// cut a console by dying. It must not know what the bytes mean, but for taking questions to a terminal out of what it
// repeats.
package console
