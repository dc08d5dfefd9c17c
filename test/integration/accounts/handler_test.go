package accounts

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// TestNodeWrites tries what the agent of node-1 writes to nodes, and what it must not.
func TestNodeWrites(t *testing.T) {
	agent, unbound := clientOf(t, env.accounts[handler]), clientOf(t, env.unbound)
	by := func(client kubernetes.Interface, node, patch string, sub ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dry}, sub...)
			return err
		}
	}
	meta := func(patch string) func(context.Context) error {
		return by(agent, "node-1", `{"metadata":{`+patch+`}}`)
	}
	status := func(patch string) func(context.Context) error {
		return by(agent, "node-1", `{"status":{`+patch+`}}`, "status")
	}
	tell := func(apiVersion, kind string) func(context.Context) error {
		return func(ctx context.Context) error {
			e := &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, EventTime: metav1.NowMicro(), ReportingController: "c", ReportingInstance: "i", Reason: "R", Action: "A", Type: "Normal",
				Regarding: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Name: "web", Namespace: tenant}}
			_, err := agent.EventsV1().Events(tenant).Create(ctx, e, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	const other, labels, annotations = `virt-handler of node "node-1" may only change that node`, "virt-handler may change labels of kubevirt.io only", "virt-handler may change annotations of kubevirt.io only"
	const held, condition, about = "virt-handler may change neither finalizers nor owners of its node", "virt-handler may change the condition KVMUsable only", "virt-handler may only write events about virtual machine instances"
	try(t, []attempt{
		{"heartbeat", "", meta(`"labels":{"kubevirt.io/schedulable":"true"},"annotations":{"kubevirt.io/heartbeat":"2026-11-22T12:00:00Z"}`)},
		{"models and features", "", meta(`"labels":{"cpu-model.node.kubevirt.io/Haswell":"true","cpu-feature.node.kubevirt.io/aes":"true","host-model-cpu.node.kubevirt.io/Haswell":"true",
			"host-model-required-features.node.kubevirt.io/x":"true","cpu-vendor.node.kubevirt.io/Intel":"true","hyperv.node.kubevirt.io/vpindex":"true","machine-type.node.kubevirt.io/q35":"true","kubevirt.io/realtime":"true"}`)},
		{"condition", "", status(`"conditions":[{"type":"KVMUsable","status":"False","reason":"TooSlow","message":"slow"}]`)},
		{"another node", other, by(agent, "node-2", `{"metadata":{"labels":{"kubevirt.io/schedulable":"false"}}}`)},
		{"status of another node", other, by(agent, "node-2", `{"status":{"conditions":[{"type":"KVMUsable","status":"True"}]}}`, "status")},
		{"token of no node", `virt-handler of node "" may only change that node`, by(unbound, "node-1", `{"metadata":{"labels":{"kubevirt.io/schedulable":"true"}}}`)},
		{"foreign label", labels, meta(`"labels":{"topology.kubernetes.io/zone":"a"}`)},
		{"role", labels, meta(`"labels":{"node-role.kubernetes.io/control-plane":""}`)},
		{"restriction", labels, meta(`"labels":{"node-restriction.kubernetes.io/secure":""}`)},
		{"label that only looks like ours", labels, meta(`"labels":{"kubevirt.io/anything":"a"}`)},
		{"label below another's domain", labels, meta(`"labels":{"node-restriction.kubernetes.io/kubevirt.io":"a"}`)},
		{"removed label", labels, meta(`"labels":{"kubernetes.io/os":null}`)},
		{"emptied label", labels, meta(`"labels":{"kubernetes.io/os":""}`)},
		{"foreign annotation", annotations, meta(`"annotations":{"example.com/b":"b"}`)},
		{"foreign annotation with an empty value", annotations, meta(`"annotations":{"example.com/b":""}`)},
		{"removed annotation", annotations, meta(`"annotations":{"example.com/a":null}`)},
		{"finalizer", held, meta(`"finalizers":["example.com/x"]`)},
		{"owner", held, meta(`"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"gone"}]`)},
		{"cordon", "virt-handler may not change the spec of its node", by(agent, "node-1", `{"spec":{"unschedulable":true}}`)},
		{"taint", "virt-handler may not change the spec of its node", by(agent, "node-1", `{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}`)},
		{"readiness", condition, status(`"conditions":[{"type":"Ready","status":"False"}]`)},
		{"another condition", condition, status(`"conditions":[{"type":"DiskPressure","status":"True"}]`)},
		{"capacity", condition, status(`"capacity":{"devices.kubevirt.io/kvm":"1k"}`)},
		{"allocatable", condition, status(`"allocatable":{"cpu":"1k"}`)},
		{"phase", condition, status(`"phase":"Running"`)},
		{"features", condition, status(`"features":{"supplementalGroupsPolicy":true}`)},
		{"runtime handlers", condition, status(`"runtimeHandlers":[{"name":"x"}]`)},
		{"addresses", condition, status(`"addresses":[{"type":"InternalIP","address":"192.0.2.9"}]`)},
		{"no addresses", condition, status(`"addresses":null`)},
		{"kubelet's port", condition, status(`"daemonEndpoints":{"kubeletEndpoint":{"Port":1}}`)},
		{"volumes in use", condition, status(`"volumesInUse":["x"]`)},
		{"images", condition, status(`"images":[{"names":["x"],"sizeBytes":1}]`)},
		{"a new node", "is forbidden: User", func(ctx context.Context) error {
			_, err := agent.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-3"}}, metav1.CreateOptions{DryRun: dry})
			return err
		}},
		{"end of the node", "is forbidden: User", func(ctx context.Context) error {
			return agent.CoreV1().Nodes().Delete(ctx, "node-1", metav1.DeleteOptions{DryRun: dry})
		}},
		{"event of an instance", "", tell("kubevirt.io/v1", "VirtualMachineInstance")},
		{"event of a pod", about, tell("v1", "Pod")},
		{"event of another group's instance", about, tell("evil.example/v1", "VirtualMachineInstance")},
		{"a Secret", "is forbidden: User", func(ctx context.Context) error {
			_, err := agent.CoreV1().Secrets("kubevirt").Get(ctx, "kubevirt-ca", metav1.GetOptions{})
			return err
		}},
	})
}
