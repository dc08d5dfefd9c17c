// Package kubevirt gives controllers the cluster's configuration: the one KubeVirt object, read from a cache. It never
// writes it.
package kubevirt
