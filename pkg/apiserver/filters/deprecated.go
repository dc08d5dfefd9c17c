package filters

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
)

// WithDeprecated warns who still uses an old version of a group. Versions of one shape share their Go types, so the types
// cannot say themselves that they are deprecated.
func WithDeprecated(handler http.Handler, replacements map[schema.GroupVersion]schema.GroupVersion) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info, ok := request.RequestInfoFrom(r.Context()); ok && info.IsResourceRequest {
			gv := schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
			if better, deprecated := replacements[gv]; deprecated {
				warning.AddWarning(r.Context(), "", fmt.Sprintf("%s %s is deprecated; use %s", gv, info.Resource, better))
			}
		}
		handler.ServeHTTP(w, r)
	})
}
