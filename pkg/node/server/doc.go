// Package server is the side of the node agent that virt-api talks to, over mutual TLS: it relays serial consoles and VNC
// of this node's guests as WebSockets, and passes on what is asked of a guest (pause, unpause, reset, soft reboot).
//
// Who may do what was decided by virt-api. The package must not decide it again, and interprets no byte that it relays.
package server
