package accounts

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/controller/vmi"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/test/integration/harness"
)

// richInstance has a volume of every kind that a launcher pod can have, but for host disks.
func richInstance() *virtv1.VirtualMachineInstance {
	memory := resource.MustParse("64Mi")
	return &virtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: tenant, UID: "0d2f9c1e"},
		Spec: virtv1.VirtualMachineInstanceSpec{
			Domain: virtv1.DomainSpec{Memory: &virtv1.Memory{Guest: &memory, Hugepages: &virtv1.Hugepages{PageSize: "2Mi"}},
				Firmware: &virtv1.Firmware{KernelBoot: &virtv1.KernelBoot{Container: &virtv1.KernelBootContainer{Image: "kernel:1", KernelPath: "/k"}}}},
			AccessCredentials: []virtv1.AccessCredential{{SSHPublicKey: &virtv1.SSHPublicKeyAccessCredential{
				Source: virtv1.SSHPublicKeyAccessCredentialSource{Secret: &virtv1.AccessCredentialSecretSource{SecretName: "keys"}}}}},
			Volumes: []virtv1.Volume{
				{Name: "root", ContainerDisk: &virtv1.ContainerDiskSource{Image: "disk:1"}},
				{Name: "data", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}},
				{Name: "raw", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "raw"}},
				{Name: "init", CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{SecretRef: &corev1.LocalObjectReference{Name: "user"}}},
				{Name: "cm", ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "cm"}},
				{Name: "down", DownwardAPI: &virtv1.DownwardAPIVolumeSource{}},
				{Name: "account", ServiceAccount: &virtv1.ServiceAccountVolumeSource{ServiceAccountName: "default"}},
			},
		},
	}
}

func launcherPod(change func(*corev1.Pod)) *corev1.Pod {
	pod := vmi.Pod(richInstance(), 0, vmi.RenderOptions{LauncherImage: "virtplane/virt-launcher:latest", Claims: map[string]*corev1.PersistentVolumeClaim{
		"raw": {Spec: corev1.PersistentVolumeClaimSpec{VolumeMode: ptr.To(corev1.PersistentVolumeBlock)}},
	}})
	if change != nil {
		change(pod)
	}
	return pod
}

// TestControllerPods tries pods with virt-controller's token: launcher pods of instances are taken, whatever volumes they have;
// a pod with more rights than one of those, or of another kind, is not.
func TestControllerPods(t *testing.T) {
	ctx := t.Context()
	made[*corev1.Namespace](t)(env.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "host-disks"}}, metav1.CreateOptions{}))
	if _, err := env.kube.CoreV1().ServiceAccounts("host-disks").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	grantHostDisks(t)
	c := clientOf(t, env.accounts[controller])
	create := func(change func(*corev1.Pod)) func(context.Context) error {
		return func(ctx context.Context) error {
			pod := launcherPod(change)
			pod.Spec.PriorityClassName = ""
			_, err := c.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	compute := func(change func(*corev1.Container)) func(context.Context) error {
		return create(func(p *corev1.Pod) { change(&p.Spec.Containers[0]) })
	}
	hostPath := func(namespace string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Namespace = namespace
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}}})
		}
	}
	const image, user = "launcher pods run the image virtplane/virt-launcher only", "launcher pods run without privileges, as user 107"
	const mounts = "the volumes of launcher pods are mounted where virt-launcher looks for them"
	const owner = "a launcher pod belongs to the virtual machine instance that its label kubevirt.io/created-by names"
	const namespaces = "launcher pods share no namespaces of their node, and the scheduler chooses the node"
	try(t, []attempt{
		{"a launcher pod", "", create(nil)},
		{"another version of the launcher", "", compute(func(c *corev1.Container) { c.Image = "virtplane/virt-launcher:v2" })},
		{"a launcher by digest", "", compute(func(c *corev1.Container) { c.Image = "virtplane/virt-launcher@sha256:" + sixtyFour })},
		{"a host disk where they are allowed", "", create(hostPath("host-disks"))},
		{"a host disk where they are not", "host disks are not allowed in namespace default", create(hostPath(tenant))},
		{"another image", image, compute(func(c *corev1.Container) { c.Image = "evil.example/rootkit:1" })},
		{"an image that begins alike", image, compute(func(c *corev1.Container) { c.Image = "virtplane/virt-launcher-x:1" })},
		{"an image below the launcher's name", image, compute(func(c *corev1.Container) { c.Image = "virtplane/virt-launcher:80/x" })},
		{"a second container with another image", image, create(func(p *corev1.Pod) {
			second := p.Spec.Containers[0].DeepCopy()
			second.Name, second.Image = "second", "evil.example/rootkit:1"
			p.Spec.Containers = append(p.Spec.Containers, *second)
		})},
		{"an init container", image, create(func(p *corev1.Pod) {
			first := p.Spec.Containers[0].DeepCopy()
			first.Name = "first"
			p.Spec.InitContainers = append(p.Spec.InitContainers, *first)
		})},
		{"another program", "launcher pods run virt-launcher only", compute(func(c *corev1.Container) { c.Command = []string{"/bin/sh", "-c", "id"} })},
		{"the image's own program", "launcher pods run virt-launcher only", compute(func(c *corev1.Container) { c.Command = nil })},
		{"a variable", "launcher pods run virt-launcher only", compute(func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "LD_PRELOAD", Value: "/x.so"}} })},
		{"a hook", "launcher pods run virt-launcher only", compute(func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh"}}}}
		})},
		{"privileged", user, compute(func(c *corev1.Container) {
			c.SecurityContext.Privileged, c.SecurityContext.AllowPrivilegeEscalation = ptr.To(true), nil
		})},
		{"escalation", user, compute(func(c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = nil })},
		{"no security context", user, compute(func(c *corev1.Container) { c.SecurityContext = nil })},
		{"a capability", user, compute(func(c *corev1.Container) { c.SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_ADMIN"} })},
		{"the capabilities of containers", user, compute(func(c *corev1.Container) { c.SecurityContext.Capabilities = nil })},
		{"root", user, compute(func(c *corev1.Container) {
			c.SecurityContext.RunAsUser, c.SecurityContext.RunAsNonRoot = ptr.To(int64(0)), ptr.To(false)
		})},
		{"root by the pod", user, create(func(p *corev1.Pod) {
			p.Spec.SecurityContext.RunAsUser, p.Spec.SecurityContext.RunAsNonRoot = ptr.To(int64(0)), ptr.To(false)
		})},
		{"no seccomp", user, create(func(p *corev1.Pod) { p.Spec.SecurityContext.SeccompProfile.Type = corev1.SeccompProfileTypeUnconfined })},
		{"no seccomp for the container", user, compute(func(c *corev1.Container) {
			c.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
		})},
		{"a writable image", user, compute(func(c *corev1.Container) { c.SecurityContext.ReadOnlyRootFilesystem = nil })},
		{"a sysctl", user, create(func(p *corev1.Pod) {
			p.Spec.SecurityContext.Sysctls = append(p.Spec.SecurityContext.Sysctls, corev1.Sysctl{Name: "net.ipv4.tcp_syncookies", Value: "0"})
		})},
		{"the node's PIDs", namespaces, create(func(p *corev1.Pod) { p.Spec.HostPID = true })},
		{"the node's network", namespaces, create(func(p *corev1.Pod) { p.Spec.HostNetwork, p.Spec.SecurityContext.Sysctls = true, nil })},
		{"the node's IPC", namespaces, create(func(p *corev1.Pod) { p.Spec.HostIPC = true })},
		{"a node of its choice", namespaces, create(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })},
		{"the account's token", "launcher pods are given no token of their service account", create(func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = nil })},
		{"a token where programs look for it", mounts, compute(func(c *corev1.Container) {
			c.VolumeMounts[len(c.VolumeMounts)-1].MountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
		})},
		{"a volume over the programs", mounts, compute(func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/usr/bin" })},
		{"a way up", mounts, compute(func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/var/run/kubevirt/../../usr/bin" })},
		{"a device elsewhere", mounts, compute(func(c *corev1.Container) { c.VolumeDevices[0].DevicePath = "/etc/raw" })},
		{"a volume of another kind", "launcher pods have no volumes of other kinds than virtual machines have", create(func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "nfs", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}}})
		})},
		{"no launcher's label", "virt-controller may write launcher pods only", create(func(p *corev1.Pod) { delete(p.Labels, virtv1.AppLabel) })},
		{"nobody's label", "virt-controller may write launcher pods only", create(func(p *corev1.Pod) { delete(p.Labels, virtv1.CreatedByLabel) })},
		{"nobody's pod", owner, create(func(p *corev1.Pod) { p.OwnerReferences = nil })},
		{"another's pod", owner, create(func(p *corev1.Pod) { p.OwnerReferences[0].UID = "other" })},
		{"a pod of a Deployment", owner, create(func(p *corev1.Pod) {
			p.OwnerReferences[0].APIVersion, p.OwnerReferences[0].Kind, p.OwnerReferences[0].BlockOwnerDeletion = "apps/v1", "ReplicaSet", nil
		})},
		{"a finalizer", owner, create(func(p *corev1.Pod) { p.Finalizers = []string{"example.com/x"} })},
		{"beside the cluster's credentials", "virtual machines cannot run in namespace kube-system", create(func(p *corev1.Pod) { p.Namespace = "kube-system" })},
		{"beside the authority's key", "virtual machines cannot run in namespace kubevirt", create(func(p *corev1.Pod) { p.Namespace = harness.Namespace })},
	})
}

const sixtyFour = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// TestControllerWrites tries what virt-controller does to pods that are there, and what it makes beside pods.
func TestControllerWrites(t *testing.T) {
	ctx := t.Context()
	launcher := launcherPod(func(p *corev1.Pod) {
		p.Name, p.Spec.Volumes, p.Spec.Containers = "launcher", nil, p.Spec.Containers[:1]
		p.Spec.Containers[0].VolumeMounts, p.Spec.Containers[0].VolumeDevices = nil, nil
	})
	made[*corev1.Pod](t)(env.kube.CoreV1().Pods(tenant).Create(ctx, launcher, metav1.CreateOptions{}))
	plain := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "c"}}}}
	made[*corev1.Pod](t)(env.kube.CoreV1().Pods(tenant).Create(ctx, plain, metav1.CreateOptions{}))
	made[*appsv1.ControllerRevision](t)(env.kube.AppsV1().ControllerRevisions(tenant).Create(ctx, revision("foreign", "apps/v1", "StatefulSet", nil), metav1.CreateOptions{}))
	made[*appsv1.ControllerRevision](t)(env.kube.AppsV1().ControllerRevisions(tenant).Create(ctx, revision("ours", "kubevirt.io/v1", "VirtualMachine", machineLabel), metav1.CreateOptions{}))
	c := clientOf(t, env.accounts[controller])
	remove := func(pod string) func(context.Context) error {
		return func(ctx context.Context) error {
			return c.CoreV1().Pods(tenant).Delete(ctx, pod, metav1.DeleteOptions{DryRun: dry})
		}
	}
	status := func(pod, patch string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoreV1().Pods(tenant).Patch(ctx, pod, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dry}, "status")
			return err
		}
	}
	record := func(r *appsv1.ControllerRevision) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.AppsV1().ControllerRevisions(tenant).Create(ctx, r, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	forget := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			return c.AppsV1().ControllerRevisions(tenant).Delete(ctx, name, metav1.DeleteOptions{DryRun: dry})
		}
	}
	claim := func(change func(*corev1.PersistentVolumeClaim)) func(context.Context) error {
		return func(ctx context.Context) error {
			claim := &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: "state", Labels: map[string]string{machine.StateLabel: "web"}, OwnerReferences: owners("kubevirt.io/v1", "VirtualMachine")},
				Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Mi")}}},
			}
			change(claim)
			_, err := c.CoreV1().PersistentVolumeClaims(tenant).Create(ctx, claim, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	lease := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoordinationV1().Leases(harness.Namespace).Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	tell := func(namespace, apiVersion, kind, name string) func(context.Context) error {
		return func(ctx context.Context) error {
			e := &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, EventTime: metav1.NowMicro(), ReportingController: "c", ReportingInstance: "i", Reason: "R", Action: "A", Type: "Normal",
				Regarding: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Name: name, Namespace: namespace}}
			_, err := c.EventsV1().Events(namespace).Create(ctx, e, metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	core := func(namespace, apiVersion, kind, name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CoreV1().Events(namespace).Create(ctx, event(namespace, apiVersion, kind, name), metav1.CreateOptions{DryRun: dry})
			return err
		}
	}
	const condition, empty = "virt-controller may change the condition kubevirt.io/virtual-machine-unpaused of launcher pods only", "virt-controller may only make empty claims"
	const forbidden, revisions = "is forbidden: User", "virt-controller may only write the revisions of virtual machines"
	try(t, []attempt{
		{"end of a launcher pod", "", remove("launcher")},
		{"end of another pod", "virt-controller may write launcher pods only", remove("plain")},
		{"all pods", forbidden, func(ctx context.Context) error {
			return c.CoreV1().Pods(tenant).DeleteCollection(ctx, metav1.DeleteOptions{DryRun: dry}, metav1.ListOptions{})
		}},
		{"change of a launcher pod", forbidden, func(ctx context.Context) error {
			_, err := c.CoreV1().Pods(tenant).Patch(ctx, "launcher", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{DryRun: dry})
			return err
		}},
		{"exec", forbidden, func(ctx context.Context) error {
			return c.CoreV1().RESTClient().Post().Resource("pods").Namespace(tenant).Name("launcher").SubResource("exec").Do(ctx).Error()
		}},
		{"readiness gate", "", status("launcher", `{"status":{"conditions":[{"type":"kubevirt.io/virtual-machine-unpaused","status":"True"}]}}`)},
		{"readiness gate of another pod", "virt-controller may write launcher pods only", status("plain", `{"status":{"conditions":[{"type":"kubevirt.io/virtual-machine-unpaused","status":"True"}]}}`)},
		{"readiness", condition, status("launcher", `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`)},
		{"phase", condition, status("launcher", `{"status":{"phase":"Succeeded"}}`)},
		{"address", condition, status("launcher", `{"status":{"podIP":"192.0.2.7","podIPs":[{"ip":"192.0.2.7"}]}}`)},
		{"claim for firmware and TPM", "", claim(func(*corev1.PersistentVolumeClaim) {})},
		{"claim of nobody", empty, claim(func(p *corev1.PersistentVolumeClaim) { p.OwnerReferences = nil })},
		{"claim of a Deployment", empty, claim(func(p *corev1.PersistentVolumeClaim) { p.OwnerReferences = owners("apps/v1", "Deployment") })},
		{"claim without its label", empty, claim(func(p *corev1.PersistentVolumeClaim) { p.Labels = nil })},
		{"claim of a volume", empty, claim(func(p *corev1.PersistentVolumeClaim) { p.Spec.VolumeName = "pvc-1" })},
		{"copy of a claim", empty, claim(func(p *corev1.PersistentVolumeClaim) {
			p.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "secret"}
		})},
		{"revision of a machine", "", record(revision("new", "kubevirt.io/v1", "VirtualMachine", machineLabel))},
		{"revision of a StatefulSet", revisions, record(revision("new", "apps/v1", "StatefulSet", machineLabel))},
		{"revision without its label", revisions, record(revision("new", "kubevirt.io/v1", "VirtualMachine", nil))},
		{"forgetting a machine's revision", "", forget("ours")},
		{"forgetting a StatefulSet's revision", revisions, forget("foreign")},
		{"its Lease", "", lease("virt-controller")},
		{"virt-api's Lease", "virt-controller may make no Lease but its own", lease("virt-api")},
		{"event of a machine", "", tell(tenant, "kubevirt.io/v1", "VirtualMachine", "web")},
		{"event of its Lease", "", tell(harness.Namespace, "coordination.k8s.io/v1", "Lease", "virt-controller")},
		{"who leads", "", core(harness.Namespace, "coordination.k8s.io/v1", "Lease", "virt-controller")},
		{"a pod's event as who leads", "virt-controller may only write events about virtual machines and its own Lease", core(harness.Namespace, "v1", "Pod", "virt-handler")},
		{"who leads in another namespace", forbidden, core("kube-system", "coordination.k8s.io/v1", "Lease", "virt-controller")},
		{"event of a pod", "virt-controller may only write events about virtual machines and its own Lease", tell("kube-system", "v1", "Pod", "kube-proxy")},
		{"event of another Lease", "virt-controller may only write events about virtual machines and its own Lease", tell("kube-system", "coordination.k8s.io/v1", "Lease", "kube-scheduler")},
	})
}

var machineLabel = map[string]string{"virtplane.io/machine": "u"}

func owners(apiVersion, kind string) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "web", UID: "u", Controller: ptr.To(true)}}
}

func revision(name, apiVersion, kind string, labels map[string]string) *appsv1.ControllerRevision {
	r := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, OwnerReferences: owners(apiVersion, kind)}, Revision: 1}
	r.Data.Raw = []byte(`{"spec":{}}`)
	return r
}
