// Package credentials reads the Secrets with SSH keys and passwords that the kubelet mounts into a launcher pod, and tells
// when they change. It must not know how they get into a guest.
package credentials
