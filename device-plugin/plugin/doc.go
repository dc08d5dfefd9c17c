// Package plugin offers device nodes of a machine to its kubelet: one device plugin (API v1beta1) for each resource,
// with as many virtual devices as instances may run. A device node is shared by all who are given it; the virtual
// devices only count them.
//
// The package decides neither what resources are called nor whether a device is any good: its caller says both. It must
// not talk to the Kubernetes API.
package plugin
