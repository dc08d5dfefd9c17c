// Package qemu describes a virtual machine as QEMU takes it: structs that check themselves and give their part of the
// command line. It is pure: it opens no file, starts no process and knows nothing of Kubernetes or of the API types.
package qemu
