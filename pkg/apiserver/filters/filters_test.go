package filters

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericfilters "k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/virtplane/virtplane/pkg/apiserver/scheme"
)

func serve(t *testing.T, handler http.Handler, info *request.RequestInfo) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(request.WithRequestInfo(t.Context(), info), http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

func TestWithStore(t *testing.T) {
	object := &request.RequestInfo{IsResourceRequest: true, APIGroup: "kubevirt.io", APIVersion: "v1", Resource: "virtualmachines"}
	for _, tc := range []struct {
		name  string
		check error
		info  *request.RequestInfo
		want  int
	}{
		{"served", nil, object, http.StatusOK},
		{"not served", errors.New("the store is empty"), object, http.StatusServiceUnavailable},
		{"discovery", errors.New("the store is empty"), &request.RequestInfo{Path: "/apis"}, http.StatusOK},
		{"needs no store", errors.New("the store is empty"), &request.RequestInfo{IsResourceRequest: true, Resource: "exempt"}, http.StatusOK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			exempt := func(i *request.RequestInfo) bool { return i.Resource == "exempt" }
			resp := serve(t, WithStore(ok, func() error { return tc.check }, exempt, scheme.Codecs), tc.info)
			if resp.StatusCode != tc.want {
				t.Errorf("%s, want %d", resp.Status, tc.want)
			}
			if tc.want == http.StatusOK {
				return
			}
			var status metav1.Status
			if err := json.NewDecoder(resp.Body).Decode(&status); err != nil || status.Reason != metav1.StatusReasonServiceUnavailable || status.Message != "the store is empty" {
				t.Errorf("%+v, error %v", status, err)
			}
		})
	}
}

func TestWithDeprecated(t *testing.T) {
	old, better := schema.GroupVersion{Group: "kubevirt.io", Version: "v1alpha3"}, schema.GroupVersion{Group: "kubevirt.io", Version: "v1"}
	handler := genericfilters.WithWarningRecorder(WithDeprecated(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
		map[schema.GroupVersion]schema.GroupVersion{old: better}))
	for version, want := range map[string][]string{
		"v1":       nil,
		"v1alpha3": {`299 - "kubevirt.io/v1alpha3 virtualmachines is deprecated; use kubevirt.io/v1"`},
	} {
		resp := serve(t, handler, &request.RequestInfo{IsResourceRequest: true, APIGroup: "kubevirt.io", APIVersion: version, Resource: "virtualmachines"})
		if diff := cmp.Diff(want, resp.Header.Values("Warning")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}
