// Package replicaset keeps as many equal instances running as a VirtualMachineInstanceReplicaSet asks for. It creates and
// deletes instances, takes in those that its selector selects, lets go those that it no longer does, and replaces those that
// have ended. What an instance does is the business of others.
package replicaset
