// Package kubevirt reads the cluster's configuration, the one KubeVirt object, for the controllers, and sums up in its
// status whether the components of the installation are ready. It changes neither its spec nor any component.
package kubevirt
