// Package contract is what end-to-end tests and the program that runs them have agreed on. It must import nothing.
package contract

const (
	// Namespace is the key of the attribute (testing.T.Attr) by which a test names a namespace that it has made: what pods there
	// use counts as the test's.
	Namespace = "namespace"
	// Boots is the variable of the environment with the folder whose locks bound how many guests boot at a time.
	Boots = "VIRTPLANE_BOOTS"
)
