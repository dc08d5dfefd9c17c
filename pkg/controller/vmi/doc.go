// Package vmi reconciles VirtualMachineInstances up to the node and after it: it renders and creates the launcher pod,
// records where the pod was bound, says why an instance waits, and settles what remains when its pod or node is gone. What
// the guest does belongs to virt-handler (decision 7); this package writes of it only that it is not known, when the node is
// lost and virt-handler with it.
package vmi
