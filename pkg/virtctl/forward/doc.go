// Package forward holds the commands that carry connections into a guest through the API server: ports of its network, vsock,
// USB devices, and ssh and scp on top of them.
package forward
