// Package vm reconciles VirtualMachines: it decides from the run strategy and the requests in the status whether an
// instance exists, creates and deletes it, and sums up for the user what it sees. It never writes a VirtualMachine's spec
// (decision 6) and never an instance's status.
package vm
