// Package nodestatus tells the cluster about this node: whether instances may be scheduled to it (label, with a heartbeat),
// and whether KVM is usable (condition). It writes its own Node object only, and of that only these three; a
// ValidatingAdmissionPolicy in the manifests holds it to that.
package nodestatus
