// Package node is the node agent: it runs the virtual machine instances of one node by way of their launchers, and alone
// writes what becomes of them into their status from the moment when they are scheduled (decision 7).
//
// For each instance it waits for the launcher's socket, prepares the pod (device nodes, network), hands the instance to
// the launcher and follows the launcher's events. It keeps nothing that matters in memory: an agent that is killed at any
// line and started again finds the launchers where they are and goes on, and no guest notices.
//
// The package never watches instances of other nodes, reads no Secrets from the API and starts no processes of guests.
package node
