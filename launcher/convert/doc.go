// Package convert turns a VirtualMachineInstance into a machine for QEMU. It is pure: the same input gives the same
// machine, and what a disk needs on the node is told as a plan for others to carry out.
//
// No field is ignored in silence. Each field of the spec stands in one of three lists: converted here, the affair of
// somebody else (scheduling, probes, the pod), or refused by name.
package convert
