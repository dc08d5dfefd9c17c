package virthandler

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/virtplane/virtplane/pkg/node/certs"
	"github.com/virtplane/virtplane/pkg/node/nodestatus"
)

// TestNodeWrites tries what the agent of node-1 writes to nodes, and what it must not.
func TestNodeWrites(t *testing.T) {
	agent, err := kubernetes.NewForConfig(env.agent)
	if err != nil {
		t.Fatal(err)
	}
	unbound, err := kubernetes.NewForConfig(env.unbound)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, node, patch, sub string
		client                 kubernetes.Interface
		denied                 string
	}{
		{name: "heartbeat", patch: `{"metadata":{"labels":{"kubevirt.io/schedulable":"true"},"annotations":{"kubevirt.io/heartbeat":"2026-11-22T12:00:00Z"}}}`},
		{name: "condition", sub: "status", patch: `{"status":{"conditions":[{"type":"KVMUsable","status":"False","reason":"TooSlow","message":"slow"}]}}`},
		{name: "another node", node: "node-2", patch: `{"metadata":{"labels":{"kubevirt.io/schedulable":"false"}}}`,
			denied: `virt-handler of node "node-1" may only change that node`},
		{name: "status of another node", node: "node-2", sub: "status", patch: `{"status":{"conditions":[{"type":"KVMUsable","status":"True"}]}}`,
			denied: `virt-handler of node "node-1" may only change that node`},
		{name: "foreign label", patch: `{"metadata":{"labels":{"topology.kubernetes.io/zone":"a"}}}`, denied: "virt-handler may change labels of kubevirt.io only"},
		{name: "removed label", patch: `{"metadata":{"labels":{"kubernetes.io/os":null}}}`, denied: "virt-handler may change labels of kubevirt.io only"},
		{name: "foreign annotation", patch: `{"metadata":{"annotations":{"example.com/a":"b"}}}`, denied: "virt-handler may change annotations of kubevirt.io only"},
		{name: "cordon", patch: `{"spec":{"unschedulable":true}}`, denied: "virt-handler may not change the spec of its node"},
		{name: "readiness", sub: "status", patch: `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`, denied: "virt-handler may change the condition KVMUsable only"},
		{name: "capacity", sub: "status", patch: `{"status":{"capacity":{"devices.kubevirt.io/kvm":"1k"}}}`, denied: "virt-handler may change the condition KVMUsable only"},
		{name: "token of no node", client: unbound, patch: `{"metadata":{"labels":{"kubevirt.io/schedulable":"true"}}}`, denied: `virt-handler of node "" may only change that node`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.node == "" {
				tc.node = "node-1"
			}
			if tc.client == nil {
				tc.client = agent
			}
			var subs []string
			if tc.sub != "" {
				subs = []string{tc.sub}
			}
			// A policy takes effect a moment after it was made.
			for end := time.Now().Add(waitFor); ; time.Sleep(100 * time.Millisecond) {
				_, err := tc.client.CoreV1().Nodes().Patch(t.Context(), tc.node, types.StrategicMergePatchType, []byte(tc.patch), metav1.PatchOptions{DryRun: []string{"All"}}, subs...)
				if tc.denied == "" && err == nil || tc.denied != "" && err != nil && strings.Contains(err.Error(), tc.denied) {
					return
				}
				if err != nil || time.Now().After(end) {
					t.Fatalf("got %v, want %q", err, tc.denied)
				}
			}
		})
	}
}

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
