package virthandler

import (
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
)

// TestDirectRequests wants objects to be had through kube-apiserver only, whose audit log has who asked: by the administrator, by
// an account's token, by nobody. What is no object is served directly, to who may have it.
func TestDirectRequests(t *testing.T) {
	list := func(config *rest.Config) error {
		client, err := versioned.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.KubevirtV1().VirtualMachineInstances("").List(t.Context(), metav1.ListOptions{FieldSelector: "status.nodeName=node-1"})
		return err
	}
	for who, config := range map[string]*rest.Config{"administrator": env.Admin, "agent": env.agent} {
		if err := list(config); err != nil {
			t.Errorf("%s through kube-apiserver: %v", who, err)
		}
		if err := list(env.api.Direct(config)); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "objects are served through kube-apiserver only") {
			t.Errorf("%s directly: %v", who, err)
		}
	}
	if err := list(env.api.Direct(&rest.Config{})); err == nil {
		t.Error("nobody is served directly")
	}
	if code, body, err := env.api.Get("/readyz"); err != nil || code != http.StatusOK {
		t.Errorf("readiness: %d %s %v", code, body, err)
	}
}
