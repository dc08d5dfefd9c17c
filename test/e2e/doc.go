// Package e2e holds the end-to-end tests: real kubelets, containerd and QEMU on the local cluster, seen through the API
// and the guests' consoles alone.
package e2e
