package body

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestDryRunOfQuery sends actions with dryRun in their query, and looks at what is left of it for the server and what becomes
// of it in the options.
func TestDryRunOfQuery(t *testing.T) {
	sub := request.RequestInfo{IsResourceRequest: true, Verb: "update", APIGroup: "subresources.kubevirt.io", APIVersion: "v1", Resource: "virtualmachines", Subresource: "stop"}
	own := request.RequestInfo{IsResourceRequest: true, Verb: "create", APIGroup: "kubevirt.io", APIVersion: "v1", Resource: "virtualmachineinstances", Subresource: "reset"}
	with := func(info request.RequestInfo, change func(*request.RequestInfo)) request.RequestInfo {
		change(&info)
		return info
	}
	for _, row := range []struct {
		name, query, body string
		info              request.RequestInfo
		left              string
		want              []string
	}{
		{name: "by query", info: sub, query: "dryRun=All", want: []string{"All"}},
		{name: "by both", info: sub, query: "dryRun=All&other=1", body: `{"dryRun":["Some"]}`, left: "other=1", want: []string{"All"}},
		{name: "by body", info: sub, body: `{"dryRun":["All"]}`, want: []string{"All"}},
		{name: "twice", info: sub, query: "dryRun=All&dryRun=All", want: []string{"All", "All"}},
		{name: "empty", info: sub, query: "dryRun=", body: `{"dryRun":["All"]}`, want: []string{"All"}},
		{name: "none", info: sub},
		{name: "the own group", info: own, query: "dryRun=All", want: []string{"All"}},
		{name: "an object of the own group", info: with(own, func(i *request.RequestInfo) { i.Subresource = "" }), query: "dryRun=All", left: "dryRun=All"},
		{name: "another group", info: with(sub, func(i *request.RequestInfo) { i.APIGroup = "apps" }), query: "dryRun=All", left: "dryRun=All"},
		{name: "a stream", info: with(sub, func(i *request.RequestInfo) { i.Verb = "get" }), query: "dryRun=All", left: "dryRun=All"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPut, "/x?"+row.query, strings.NewReader(row.body))
			r = r.WithContext(request.WithRequestInfo(r.Context(), &row.info))
			served := false
			WithDryRun(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				served = true
				if r.URL.RawQuery != row.left {
					t.Errorf("of the query %q is left", r.URL.RawQuery)
				}
				var got virtv1.StopOptions
				if err := Options(r, &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(row.want, got.DryRun); diff != "" {
					t.Errorf("dryRun (-want +got):\n%s", diff)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			if !served {
				t.Error("nobody was asked")
			}
		})
	}
	t.Run("options that know none", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPut, "/x?dryRun=All", nil)
		r = r.WithContext(request.WithRequestInfo(r.Context(), &sub))
		WithDryRun(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var got struct {
				Force bool `json:"force"`
			}
			if err := Options(r, &got); !apierrors.IsBadRequest(err) {
				t.Errorf("Options: %v, want a bad request", err)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}
