package virthandler

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/virtplane/virtplane/pkg/node/certs"
	"github.com/virtplane/virtplane/pkg/node/nodestatus"
)

func TestNodeStatusIsWritten(t *testing.T) {
	agent, err := kubernetes.NewForConfig(env.agent)
	if err != nil {
		t.Fatal(err)
	}
	nodestatus.New(agent, "node-1", clock.RealClock{}).Condition(t.Context(), false, "TooSlow", "a loop took 4 s")
	node, err := env.kube.CoreV1().Nodes().Get(t.Context(), "node-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range node.Status.Conditions {
		found[string(c.Type)] = string(c.Status)
	}
	if len(found) != 2 || found["KVMUsable"] != "False" || found["Ready"] != "True" {
		t.Errorf("conditions %v", found)
	}
}

func TestCertificate(t *testing.T) {
	agent, err := kubernetes.NewForConfig(env.agent)
	if err != nil {
		t.Fatal(err)
	}
	source := certs.New("node-1", certs.APISigner{Client: agent.CoreV1().RESTClient()}, clock.RealClock{})
	go source.Run(t.Context())
	for end := time.Now().Add(waitFor); source.Ready() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(source.Ready())
		}
	}
	// A certificate of another node is not to be had.
	other := certs.New("node-2", certs.APISigner{Client: agent.CoreV1().RESTClient()}, clock.RealClock{})
	go other.Run(t.Context())
	unbound, err := kubernetes.NewForConfig(env.unbound)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (certs.APISigner{Client: unbound.CoreV1().RESTClient()}).Sign(t.Context(), []byte("request")); !apierrors.IsForbidden(err) {
		t.Errorf("a token of no node: %v", err)
	}
	refused := func(err error) bool { return err != nil && strings.Contains(err.Error(), "is for another node") }
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && !refused(other.Ready()); time.Sleep(50 * time.Millisecond) {
	}
	if err := other.Ready(); !refused(err) {
		t.Errorf("node-1 asks for the certificate of node-2: %v", err)
	}
}
