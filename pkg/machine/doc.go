// Package machine holds what the API server, the controllers, the node agent and the launcher must agree on about one
// virtual machine: the names of its pod and resources, the paths inside the pod, and the memory it costs beyond its
// guest's. Everything here is pure: no I/O, no clock, no clients.
package machine
