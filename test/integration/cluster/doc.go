// Package cluster holds the tests of the local cluster itself: that it comes up from any state, that its network
// carries what it should, that killed services come back under running pods, and that nothing of it is left on
// the host. It brings up clusters of its own and knows nothing of what the project installs.
package cluster
