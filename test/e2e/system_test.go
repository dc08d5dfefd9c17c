package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/virtplane/virtplane/csi-driver/driver"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/image"
	"github.com/virtplane/virtplane/test/spec"
)

// TestComponents looks at what is installed the way the runbooks of the manual do.
func TestComponents(t *testing.T) {
	c := harness.Connect(t)
	nodes := c.Nodes(t)
	for _, name := range []string{"virt-api", "virt-controller"} {
		out := c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "deployment", name, "-o", "jsonpath={.spec.replicas} {.status.readyReplicas}")
		if out != "2 2" {
			t.Errorf("deployment %s has %q replicas wanted and ready", name, out)
		}
	}
	for _, name := range []string{"virt-api", "virt-controller", "virt-handler"} {
		out := c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "pods", "-l", "kubevirt.io="+name, "-o", "name")
		if len(strings.Fields(out)) < 2 {
			t.Errorf("pods labelled kubevirt.io=%s: %q", name, out)
		}
	}
	fields := strings.Fields(c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "daemonset", "virt-handler", "--no-headers"))
	if want := fmt.Sprint(len(nodes)); len(fields) < 6 || !slices.Equal(fields[:6], []string{"virt-handler", want, want, want, want, want}) {
		t.Errorf("kubectl get daemonset prints %q", fields)
	}
	spec.Covers(t, "P5-GEN-11", "P5-GEN-15", "P5-GEN-16")

	t.Run("hostpath driver", func(t *testing.T) {
		c.Kubectl(t, "", "get", "csidriver", driver.Name)
		for _, node := range nodes {
			if out := c.Kubectl(t, "", "get", "csinode", node, "-o", "jsonpath={.spec.drivers[*].name}"); !slices.Contains(strings.Fields(out), driver.Name) {
				t.Errorf("node %s has drivers %q", node, out)
			}
		}
		if out := c.Kubectl(t, "", "-n", harness.SystemNamespace, "get", "all", "-l", "k8s-app=hostpath-provisioner", "-o", "name"); !strings.Contains(out, "daemonset.apps/hostpath-provisioner-csi") {
			t.Errorf("labelled k8s-app=hostpath-provisioner: %s", out)
		}
		// The driver of the interface before CSI.
		if out, err := c.TryKubectl(t, "", "-n", harness.SystemNamespace, "get", "daemonset", "hostpath-provisioner"); err == nil {
			t.Errorf("the legacy provisioner is installed: %s", out)
		}
		spec.Covers(t, "P1-ARCH-25", "P1-ARCH-26", "P5-GEN-12", "P5-GEN-25")
	})
	t.Run("virt-api is the way in", func(t *testing.T) {
		for _, name := range []string{"v1.kubevirt.io", "v1alpha3.kubevirt.io", "v1.subresources.kubevirt.io", "v1alpha3.subresources.kubevirt.io"} {
			out := c.Kubectl(t, "", "get", "apiservice", name, "-o", `jsonpath={.spec.service.namespace}/{.spec.service.name} {.status.conditions[?(@.type=="Available")].status}`)
			if out != harness.SystemNamespace+"/virt-api True" {
				t.Errorf("APIService %s: %s", name, out)
			}
		}
		spec.Covers(t, "P1-ARCH-39")
	})
}

// TestDeletedComponents deletes the pods of the components, as the runbooks advise, and takes virt-controller away for a while:
// guests run on, and what was asked meanwhile is done afterwards.
func TestDeletedComponents(t *testing.T) {
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{}.VMI("lives"))
	c.WaitVMI(t, ns, "lives", "running", harness.BootLimit, harness.Running)
	boot := c.BootID(t, ns, "lives")

	rollout := func(what string) {
		t.Helper()
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "rollout", "status", what, "--timeout=110s")
	}
	for component, what := range map[string]string{"virt-controller": "deployment/virt-controller", "virt-handler": "daemonset/virt-handler", "virt-api": "deployment/virt-api"} {
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "delete", "pods", "-l", "kubevirt.io="+component, "--timeout=110s")
		rollout(what)
	}
	if got := c.BootID(t, ns, "lives"); got != boot {
		t.Errorf("the guest was booted anew: %s, it was %s", got, boot)
	}
	spec.Covers(t, "P5-GEN-27")

	t.Run("without virt-controller", func(t *testing.T) {
		defer func() {
			c.Kubectl(t, "", "-n", harness.SystemNamespace, "scale", "deployment/virt-controller", "--replicas=2")
			rollout("deployment/virt-controller")
		}()
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "scale", "deployment/virt-controller", "--replicas=0")
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "wait", "--for=delete", "pods", "-l", "kubevirt.io=virt-controller", "--timeout=60s")
		c.Apply(t, ns, harness.Instance{}.VMI("waits"))
		c.Kubectl(t, "", "-n", ns, "delete", "vmi", "lives", "--wait=false")
		time.Sleep(5 * time.Second)
		waits, err := c.Virt.KubevirtV1().VirtualMachineInstances(ns).Get(t.Context(), "waits", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if out := c.Kubectl(t, "", "-n", ns, "get", "pods", "-l", virtv1.CreatedByLabel+"="+string(waits.UID), "-o", "name"); waits.Status.Phase != virtv1.Pending || out != "" {
			t.Errorf("without virt-controller the instance is %s and has pods %q", waits.Status.Phase, out)
		}
		c.Kubectl(t, "", "-n", harness.SystemNamespace, "scale", "deployment/virt-controller", "--replicas=2")
		c.WaitVMI(t, ns, "waits", "running", harness.BootLimit, harness.Running)
		c.WaitVMI(t, ns, "lives", "gone", time.Minute, harness.Gone)
		spec.Covers(t, "P5-GEN-14")
	})
}

// TestImageIsPulled starts a guest from an image that only the registry has.
func TestImageIsPulled(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	ref := bring(t, "push", "only-in-the-registry", image.File{Path: "/disk/disk.img", Mode: 0o440, UID: 107, GID: 107, Source: diskImage(t, "-f", "raw", "1M")})
	c.Apply(t, ns, strings.ReplaceAll(harness.Instance{}.VMI("pulled"), harness.TinyImage, ref))
	vmi := c.WaitVMI(t, ns, "pulled", "running", harness.BootLimit, harness.Running)
	pod := c.LauncherPod(t, vmi)
	events := c.Kubectl(t, "", "-n", ns, "get", "events", "--field-selector", "involvedObject.name="+pod.Name+",reason=Pulled", "-o", "custom-columns=:.message")
	if !strings.Contains(events, fmt.Sprintf("Successfully pulled image %q", ref)) {
		t.Errorf("the events of %s do not tell of a pull:\n%s", pod.Name, events)
	}
	spec.Covers(t, "P3-CDISK-04")
}
