// Package machine runs one machine of the local cluster: a process tree in network, process, mount, host name
// and IPC namespaces of its own, with a root directory in which the standard paths are the machine's own.
//
// The host's side (Start, Find, Stop, Command) starts a machine and finds it again by a record. The inside
// (Init) is process 1 of the machine: it makes the root directory, starts the services it is told, starts them
// again when they die, and reaps orphans, as a small init would. All that a machine made in the kernel (links,
// addresses, mounts, processes) ends with process 1; only control groups and files are left to remove.
//
// The package must not know what the services are, nor about Kubernetes.
package machine
