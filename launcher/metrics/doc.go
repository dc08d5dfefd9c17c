// Package metrics tells a guest figures of its node and of itself ("downward metrics") in the two ways that vhostmd knows: on a
// small disk that is written anew every few seconds, and on request over a virtio-serial port. It must not start anything; what
// it tells of the node is what any process there can see.
package metrics
