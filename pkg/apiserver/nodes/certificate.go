package nodes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	subresourcesv1 "github.com/virtplane/virtplane/pkg/apis/subresources/v1"
	"github.com/virtplane/virtplane/pkg/apiserver/certs"
)

// Signer signs the certificate of a node.
type Signer interface {
	SignNode(node string, request []byte) (*subresourcesv1.NodeCertificateStatus, error)
}

// maxRequest is far more than a certificate request needs.
const maxRequest = 64 << 10

// CertificateHandler answers requests for the certificate of a node's agent. Agent tells the node from the user's token.
func CertificateHandler(signer Signer, agent func(user.Info) (node string, ok bool), codecs runtime.NegotiatedSerializer) http.HandlerFunc {
	gv := schema.GroupVersion{Group: "subresources.kubevirt.io", Version: "v1"}
	resource := schema.GroupResource{Group: gv.Group, Resource: "nodecertificates"}
	return func(w http.ResponseWriter, r *http.Request) {
		fail := func(err error) { responsewriters.ErrorNegotiated(err, codecs, gv, w, r) }
		u, ok := request.UserFrom(r.Context())
		if !ok {
			fail(apierrors.NewUnauthorized("there is no user"))
			return
		}
		node, ok := agent(u)
		if !ok || node == "" {
			fail(apierrors.NewForbidden(resource, "", fmt.Errorf("%s is not the agent of a node: certificates are for virt-handler, with a token that is bound to its node", u.GetName())))
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
		if err != nil {
			fail(apierrors.NewBadRequest("reading the body: " + err.Error()))
			return
		}
		var c subresourcesv1.NodeCertificate
		if err := json.Unmarshal(body, &c); err != nil {
			fail(apierrors.NewBadRequest("decoding the body as a NodeCertificate: " + err.Error()))
			return
		}
		status, err := signer.SignNode(node, c.Spec.Request)
		switch {
		case errors.Is(err, certs.ErrNoAuthority):
			fail(apierrors.NewServiceUnavailable(err.Error()))
			return
		case err != nil:
			fail(apierrors.NewBadRequest(err.Error()))
			return
		}
		c.APIVersion, c.Kind = gv.String(), "NodeCertificate"
		c.Status = *status
		klog.FromContext(r.Context()).Info("Signed the certificate of a node", "node", node, "notAfter", c.Status.NotAfter)
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		w.WriteHeader(http.StatusCreated)
		if err := json.NewEncoder(w).Encode(c); err != nil {
			klog.FromContext(r.Context()).Error(err, "Could not send a certificate", "node", node)
		}
	}
}
