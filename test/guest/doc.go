// Package guest builds what the local cluster and the tests run from Debian's packages: the tiny guest and its
// kernel, a guest that does nothing, the Debian guest, and the base root file system of the images that carry
// QEMU. Results are kept in the user's cache under a hash of their recipe, so that a build happens once on a
// machine.
//
// It must not load anything into a cluster, and it fetches nothing itself: the recipes use the machine's own
// apt sources.
package guest
