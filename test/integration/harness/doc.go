// Package harness runs a real kube-apiserver, with its etcd and controller manager, and our programs behind it, for
// integration tests. All of it lives in a network namespace and a PID namespace of the test's own: it changes nothing on
// the machine, and nothing of it outlives the test.
//
// It must not hold expectations: those belong to the tests.
package harness
