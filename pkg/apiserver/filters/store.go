// Package filters holds the handlers of our own in the server's chain.
//
// They look at a request's attributes only; a decision that needs an object belongs to the registries.
package filters

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// WithStore answers 503 to every request for an object as long as check fails. Anything else would be a lie: a "not
// found" from a store that is not the right one makes Kubernetes' garbage collector delete running pods.
func WithStore(handler http.Handler, check func() error, exempt func(*request.RequestInfo) bool, codecs runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		if ok && info.IsResourceRequest && !exempt(info) {
			if err := check(); err != nil {
				gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
				responsewriters.ErrorNegotiated(apierrors.NewServiceUnavailable(err.Error()), codecs, gv, w, r)
				return
			}
		}
		handler.ServeHTTP(w, r)
	})
}
