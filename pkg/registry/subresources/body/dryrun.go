package body

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

type dryRunKey struct{}

// WithDryRun takes dryRun out of the query of actions that the generic server takes for connections, and refuses there, and
// keeps it for Options.
func WithDryRun(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		if query := r.URL.Query(); ok && query.Has("dryRun") && connects(info) {
			r = r.Clone(context.WithValue(r.Context(), dryRunKey{}, query["dryRun"]))
			query.Del("dryRun")
			r.URL.RawQuery = query.Encode()
		}
		handler.ServeHTTP(w, r)
	})
}

// connects is true for actions that are served as connections and read their bodies by Options.
func connects(info *request.RequestInfo) bool {
	switch info.APIGroup {
	case virtv1.SubresourceGroupVersion.Group:
		return info.Verb == "update" && info.Subresource != ""
	case virtv1.SchemeGroupVersion.Group:
		return info.Verb == "create" && slices.Contains([]string{"freeze", "unfreeze", "reset", "softreboot", "evacuate"}, info.Subresource)
	}
	return false
}

// Options reads the options of an action: of the body, and dryRun of the query in place of the body's. Options that know no
// dryRun are refused with it, so that nothing is done that was only to be tried.
func Options(r *http.Request, into any) error {
	if err := Decode(r.Body, into); err != nil {
		return err
	}
	values, _ := r.Context().Value(dryRunKey{}).([]string)
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	if len(values) == 0 {
		return nil
	}
	text, err := json.Marshal(map[string][]string{"dryRun": values})
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return apierrors.NewBadRequest("dryRun is not supported")
	}
	return nil
}
