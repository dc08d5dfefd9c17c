package rest_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/objectgraph"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/rest"
	"github.com/virtplane/virtplane/pkg/registry/subresources/body"
)

// FuzzGuestBodies decodes whatever a client may send as the body of an action on a guest, or of a request for a graph.
// Failures are the client's, and nothing panics.
func FuzzGuestBodies(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"unfreezeTimeout":"5m","dryRun":["All"]}`, "unfreezeTimeout: 5m\n", `{"labelSelector":{"matchExpressions":[{"key":"a","operator":"In"}]}}`, `{"unfreezeTimeout":5}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, into := range []any{&rest.CallOptions{}, &virtv1.ObjectGraphOptions{}} {
			err := body.Decode(strings.NewReader(text), into)
			if options, ok := into.(*virtv1.ObjectGraphOptions); ok && err == nil {
				_, err = objectgraph.Instance(&virtv1.VirtualMachineInstance{}, options)
			}
			if err != nil && !apierrors.IsBadRequest(err) && !apierrors.IsRequestEntityTooLargeError(err) {
				t.Errorf("%T: %v, want a bad request", into, err)
			}
		}
	})
}
