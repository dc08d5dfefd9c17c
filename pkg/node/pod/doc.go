// Package pod reaches into launcher pods of this node: their sockets, their processes, their device nodes. A launcher runs
// beside an untrusted guest and may have been taken over, and it owns the directory in which its sockets lie. So no path
// of a pod is followed blindly, and whoever answers must run as the launcher's user and in a cgroup of that very pod.
//
// The package speaks no protocol over the sockets that it opens, and does not know the Kubernetes API.
package pod
