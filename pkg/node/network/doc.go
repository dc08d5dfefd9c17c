// Package network connects a guest to the network of its pod. It works inside the pod's network namespace, from outside
// of the pod: the launcher has no capabilities.
//
// Binding masquerade: the guest sits behind a bridge in the pod, on a small network of its own, and shares the pod's
// address by NAT. A tap device that belongs to the launcher's user is what QEMU opens; the launcher serves DHCP on the
// bridge. Everything is level-triggered: Apply may run at any time, also beside a running guest, and changes only what
// is not as it should be.
//
// The package knows VMIs, links and nftables. It must not talk to the Kubernetes API or to the launcher, and it touches no
// nftables table but its own.
package network
