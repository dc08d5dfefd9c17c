// Package v1 holds the small kinds of the group subresources.kubevirt.io that belong to no virtual machine. Actions and streams
// of virtual machines use the kinds of kubevirt.io/v1.
//
// The package may depend on apimachinery alone: node agents import it.
package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NodeCertificatePath is where a node's agent has its certificate signed: POST a NodeCertificate with spec.request, and get it
// back with its status filled in. The caller must use a token that is bound to its node; the certificate names that node, not
// what the request says.
const NodeCertificatePath = "/apis/subresources.kubevirt.io/v1/nodecertificates"

// NodeServerName is the name for which a node's certificate is valid, and that virt-api asks for when it dials the node.
func NodeServerName(node string) string { return "node:" + node }

// APICommonName is the common name of the certificate that virt-api shows to nodes. Agents accept no other client.
const APICommonName = "virt-api"

// NodeCertificate is a request of a node's agent for a certificate, and the answer. It is not stored.
type NodeCertificate struct {
	metav1.TypeMeta `json:",inline"`
	Spec            NodeCertificateSpec   `json:"spec"`
	Status          NodeCertificateStatus `json:"status,omitzero"`
}

// NodeCertificateSpec is what the agent asks for.
type NodeCertificateSpec struct {
	// Request is a PKCS #10 request in PEM (CERTIFICATE REQUEST), signed with the agent's key. Its names are ignored.
	Request []byte `json:"request"`
}

// NodeCertificateStatus is what the agent gets.
type NodeCertificateStatus struct {
	// Certificate is the signed certificate in PEM, for serving.
	Certificate []byte `json:"certificate,omitempty"`
	// CABundle holds the authorities, in PEM, that sign the certificates of virt-api: verify clients with it, and accept
	// the common name virt-api alone.
	CABundle []byte `json:"caBundle,omitempty"`
	// RenewAfter is when to ask for the next certificate. Ask again and again from then on, the certificate stays valid for
	// a while.
	RenewAfter metav1.Time `json:"renewAfter,omitzero"`
	// NotAfter is when the certificate ends.
	NotAfter metav1.Time `json:"notAfter,omitzero"`
}
