package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/spec"
)

// answers is what Windows Setup would be told; the line ends and the last byte must reach it as they are.
const answers = "<?xml version=\"1.0\"?>\r\n<unattend xmlns=\"urn:schemas-microsoft-com:unattend\"/>"

// TestConfigDisks shows one guest every volume that is made from other objects or lasts only as long as its instance, and looks
// at what becomes of each in a reboot, a restart and the end.
func TestConfigDisks(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	turnOn(t, c, "HostDisk", "DownwardMetrics") // before there is a namespace: what is in there may need them until it is gone
	ns := c.Namespace(t)
	keep(t, c, ns)
	onNode := nodeFolder(t, c, ns)
	c.Kubectl(t, "", "-n", ns, "create", "serviceaccount", "robot")
	c.Kubectl(t, answers, "-n", ns, "create", "configmap", "unattend", "--from-file=Autounattend.xml=/dev/stdin")
	c.Apply(t, ns, `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  app.conf: "greeting = hello\n"
  configuration-of-this.yaml: "this: 1\n"
  configuration-of-that.yaml: "that: 2\n"
binaryData: {blob: AAEC/w==}
---
apiVersion: v1
kind: Secret
metadata: {name: credentials}
stringData: {password: open sesame}
---
apiVersion: v1
kind: Secret
metadata: {name: later}
stringData: {key: came later}
`)
	manifest := harness.Instance{
		Labels: map[string]string{"tier": "front"}, GracePeriod: 10, Extra: "serviceAccountName: robot\n",
		Disks: `
- {name: settings, serial: SETTIN, disk: {bus: virtio}}
- {name: credentials, serial: CREDEN, disk: {bus: virtio}}
- {name: account, serial: ACCOUN, disk: {bus: virtio}}
- {name: facts, serial: FACTS0, disk: {bus: virtio}}
- {name: golden, serial: GOLDEN, disk: {bus: virtio}}
- {name: node, serial: NODE00, disk: {bus: virtio}}
- {name: scratch, serial: SCRATC, disk: {bus: virtio}}
- {name: metrics, disk: {bus: virtio}}
- {name: sysprep, cdrom: {bus: scsi}}`,
		Volumes: `
- name: settings
  configMap: {name: settings, volumeLabel: SETTINGS}
- name: credentials
  secret: {secretName: credentials}
- name: account
  serviceAccount: {serviceAccountName: robot}
- name: facts
  downwardAPI:
    fields:
    - {path: labels, fieldRef: {fieldPath: metadata.labels}}
    - {path: pod/namespace, fieldRef: {fieldPath: metadata.namespace}}
- name: golden
  ephemeral: {persistentVolumeClaim: {claimName: golden}}
- name: node
  hostDisk: {path: ` + onNode + `/disk.img, type: DiskOrCreate, capacity: 4Mi}
- name: scratch
  emptyDisk: {capacity: 4Mi}
- name: metrics
  downwardMetrics: {}
- name: sysprep
  sysprep: {configMap: {name: unattend}}
- name: shared
  persistentVolumeClaim: {claimName: shared}
- name: files
  configMap: {name: settings}`,
	}.VM("configured", "Manual")
	manifest = strings.Replace(manifest, "runStrategy: Manual", "running: false", 1)
	manifest = strings.Replace(manifest, "devices:\n", "devices:\n          downwardMetrics: {}\n          filesystems: [{name: shared, virtiofs: {}}, {name: files, virtiofs: {}}]\n", 1)
	applySoon(t, c, ns, manifest)

	t.Run("it starts by its run strategy", func(t *testing.T) {
		if vm := c.WaitVM(t, ns, "configured", "there", time.Minute, func(vm *virtv1.VirtualMachine) bool { return vm != nil }); printable("Running")(vm) {
			t.Error("it runs though it was not to")
		}
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "configured", "--type=merge", "-p", `{"spec":{"running":null,"runStrategy":"RerunOnFailure"}}`)
		c.WaitVMI(t, ns, "configured", "running", harness.BootLimit, harness.Running)
		spec.Covers(t, "P2-SYSPREP-07")
	})
	first := c.WaitVMI(t, ns, "configured", "running", harness.BootLimit, harness.Running)
	g := lookInto(t, c, ns, "configured")

	t.Run("files of objects", func(t *testing.T) {
		if got := g.run(t, "ls /sys/block | grep -c '^vd'"); got != "9" {
			t.Errorf("%s disks, want one for each volume and the root", got)
		}
		g.mount(t, "settings", g.disk(t, "SETTIN"))
		if got := g.run(t, "findfs LABEL=SETTINGS; ls -1a /m/settings; cat /m/settings/*.conf /m/settings/*this.yaml; hexdump -e '4/1 \"%02x\"' /m/settings/blob"); got !=
			g.disk(t, "SETTIN")+"\n.\n..\napp.conf\nblob\nconfiguration-of-that.yaml\nconfiguration-of-this.yaml\ngreeting = hello\nthis: 1\n000102ff" {
			t.Errorf("the ConfigMap's disk: %q", got)
		}
		g.mount(t, "credentials", g.disk(t, "CREDEN"))
		if got := g.run(t, "dd if="+g.disk(t, "CREDEN")+" bs=1 skip=32808 count=7 2>/dev/null; echo; cat /m/credentials/password"); got != "cfgdata\nopen sesame" {
			t.Errorf("the Secret's disk: %q", got)
		}
		g.mount(t, "facts", g.disk(t, "FACTS0"))
		if got := g.run(t, "grep tier /m/facts/labels; cat /m/facts/pod/namespace"); got != "tier=\"front\"\n"+ns {
			t.Errorf("the disk of the downward API: %q", got)
		}
		spec.Covers(t, "P2-ENV-01", "P2-ENV-05", "P2-ENV-08")
	})
	t.Run("a service account", func(t *testing.T) {
		g.mount(t, "account", g.disk(t, "ACCOUN"))
		if got := g.run(t, "ls -1 /m/account; cat /m/account/namespace"); got != "ca.crt\nnamespace\ntoken\n"+ns {
			t.Errorf("the disk: %q", got)
		}
		config := rest.AnonymousClientConfig(c.Config)
		config.BearerToken = g.run(t, "cat /m/account/token")
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		me, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := me.Status.UserInfo.Username, "system:serviceaccount:"+ns+":robot"; got != want {
			t.Errorf("the token is that of %s, want %s", got, want)
		}
		spec.Covers(t, "P2-ENV-02")
	})
	t.Run("answers of Windows Setup", func(t *testing.T) {
		g.mount(t, "sysprep", "/dev/sr0")
		if got, want := g.run(t, "ls /m/sysprep; sha256sum </m/sysprep/Autounattend.xml"), fmt.Sprintf("Autounattend.xml\n%x  -", sha256.Sum256([]byte(answers))); got != want {
			t.Errorf("the disk: %q, want %q", got, want)
		}
		spec.Covers(t, "P2-SYSPREP-01", "P2-SYSPREP-08", "P2-SYSPREP-14", "P2-SYSPREP-15")
	})
	t.Run("shared folders", func(t *testing.T) {
		if got := g.run(t, "mkdir -p /m/shared /m/files; mount -t virtiofs shared /m/shared && mount -t virtiofs files /m/files && cat /m/files/app.conf /m/shared/from-pod"); got != "greeting = hello\nfrom the pod" {
			t.Errorf("the guest reads %q", got)
		}
		if got := g.run(t, "echo from the guest >/m/shared/from-guest; mkdir /m/shared/dir; mv /m/shared/from-guest /m/shared/dir/; chown 1000:1000 /m/shared/dir; stat -c '%u %g' /m/shared/dir/from-guest; touch /m/files/new 2>&1; true"); !strings.HasPrefix(got, "0 0\n") || !strings.Contains(got, "Read-only") {
			t.Errorf("the guest writes: %q", got)
		}
		if got := c.Exec(t, ns, "keeper", "keeper", "bash", "-c", "cat /shared/dir/from-guest; stat -c %u:%g /shared/dir/from-guest"); got != "from the guest\n107:107\n" {
			t.Errorf("the pod reads %q", got)
		}
		if got := g.run(t, "dd if=/dev/urandom of=/m/shared/big bs=64k count=64 2>/dev/null; sync; sha256sum </m/shared/big"); got != strings.TrimSpace(c.Exec(t, ns, "keeper", "keeper", "bash", "-c", "sha256sum </shared/big")) {
			t.Errorf("a large file arrives changed: %q", got)
		}
	})
	t.Run("figures of the node", func(t *testing.T) {
		var body string
		for deadline := time.Now().Add(time.Minute); !strings.Contains(body, "HostName") && time.Now().Before(deadline); time.Sleep(time.Second) {
			// A header of 16 bytes, then a document; the rest of the disk is empty.
			body = g.run(t, "echo 3 >/proc/sys/vm/drop_caches; for d in /dev/vd*; do [ \"$(head -c 4 $d)\" = mvbd ] && dd if=$d bs=64k count=4 2>/dev/null | tail -c +17 | tr -d '\\000'; done; true")
		}
		checkMetrics(t, body, first.Status.NodeName)
		port := g.run(t, "for p in /sys/class/virtio-ports/*; do [ \"$(cat $p/name)\" = org.github.vhostmd.1 ] && echo /dev/${p##*/}; done; true")
		checkMetrics(t, g.run(t, "exec 3<>"+port+"; printf 'GET /metrics/XML\\n\\n' >&3; while read -r line <&3; do [ -z \"$line\" ] && break; echo \"$line\"; done; exec 3>&-"), first.Status.NodeName)
	})
	t.Run("what is written", func(t *testing.T) {
		if got := g.run(t, "head -c 6 "+g.disk(t, "GOLDEN")); got != "golden" {
			t.Errorf("the layer shows %q of its claim", got)
		}
		if got := g.run(t, "cat /sys/block/"+strings.TrimPrefix(g.disk(t, "NODE00"), "/dev/")+"/size"); got != fmt.Sprint(4<<20/512) {
			t.Errorf("the node's new disk has %s sectors", got)
		}
		pod := c.LauncherPod(t, first)
		layer := func() int {
			out := c.Exec(t, ns, pod.Name, "compute", "stat", "-c", "%b", "/var/run/kubevirt-ephemeral-disks/root.qcow2")
			n, err := strconv.Atoi(strings.TrimSpace(out))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := layer()
		for _, s := range []string{"GOLDEN", "NODE00", "SCRATC"} {
			g.run(t, "echo mine | dd of="+g.disk(t, s)+" conv=notrunc,fsync 2>/dev/null")
		}
		g.run(t, "dd if=/dev/urandom of=/dev/vda bs=512 count=2048 seek=$(( $(cat /sys/block/vda/size) - 2048 )) conv=notrunc,fsync 2>/dev/null")
		if grown := (layer() - before) * 512; grown < 1<<20 {
			t.Errorf("the layer on the node has grown by %d bytes, the guest has written 1 MiB", grown)
		}
		spec.Covers(t, "P3-CDISK-05")
	})
	t.Run("a reboot from within keeps it all", func(t *testing.T) {
		g.reboot(t)
		if got := g.run(t, "head -c 4 "+g.disk(t, "SCRATC")+" "+g.disk(t, "GOLDEN")+" | grep -c mine"); got != "2" {
			t.Errorf("%s of the disks still hold what was written", got)
		}
	})
	outlives := t
	t.Run("changes wait for a restart", func(t *testing.T) {
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "configured", "--type=json", "-p", `[
			{"op":"add","path":"/spec/template/spec/volumes/-","value":{"name":"later","secret":{"secretName":"later"}}},
			{"op":"add","path":"/spec/template/spec/domain/devices/disks/-","value":{"name":"later","serial":"LATER0","disk":{"bus":"virtio"}}}]`)
		without(t, c, ns, "sysprep")
		without(t, c, ns, "credentials")
		c.Kubectl(t, "", "-n", ns, "patch", "configmap", "settings", "-p", `{"data":{"app.conf":"greeting = goodbye\n"}}`)
		if got := g.run(t, "ls /sys/block | grep -c -e '^vd' -e '^sr'"); got != "10" {
			t.Errorf("%s disks before the restart", got)
		}
		g.mount(t, "settings", g.disk(t, "SETTIN"))
		if got := g.run(t, "cat /m/settings/app.conf"); got != "greeting = hello" {
			t.Errorf("the disk of a running guest has changed: %q", got)
		}
		act(t, c, ns, "virtualmachines", "configured", "restart", "", http.StatusAccepted)
		c.WaitVMI(t, ns, "configured", "running anew", harness.BootLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
			return harness.Running(vmi) && vmi.UID != first.UID
		})
		g = lookInto(outlives, c, ns, "configured")
		g.mount(t, "settings", g.disk(t, "SETTIN"))
		g.mount(t, "later", g.disk(t, "LATER0"))
		if got := g.run(t, "grep -l -x CREDEN /sys/block/vd*/serial; true"); got != "" {
			t.Errorf("after the restart the disk that was taken away is still %s", got)
		}
		if got := g.run(t, "cat /m/settings/app.conf /m/later/key; ls /sys/block | grep -c '^sr'; true"); got != "greeting = goodbye\ncame later0" && got != "greeting = goodbye\ncame later\n0" {
			t.Errorf("after the restart: %q", got)
		}
		spec.Covers(t, "P2-ENV-06", "P2-ENV-07", "P2-ENV-09", "P2-SYSPREP-10")
	})
	t.Run("a restart discards what is not kept", func(t *testing.T) {
		for serial, want := range map[string]string{"GOLDEN": "gold", "SCRATC": "", "NODE00": "mine"} {
			if got := g.run(t, "head -c 4 "+g.disk(t, serial)+" | tr -d '\\000'"); got != want {
				t.Errorf("disk %s holds %q, want %q", serial, got, want)
			}
		}
		if got := c.Exec(t, ns, "keeper", "keeper", "sha256sum", "/golden/disk.img"); !strings.HasPrefix(got, fmt.Sprintf("%x", sha256.Sum256(golden()))) {
			t.Errorf("the claim under the layer has changed: %s", got)
		}
		spec.Covers(t, "P1-VOL-01", "P1-VOL-07")
	})
	t.Run("it stays off once its guest is off", func(t *testing.T) {
		if err := g.console.Type("poweroff\r"); err != nil {
			t.Fatal(err)
		}
		c.WaitVM(t, ns, "configured", "stopped", time.Minute, printable("Stopped"))
		time.Sleep(5 * time.Second)
		if vm := c.WaitVM(t, ns, "configured", "there", time.Minute, func(vm *virtv1.VirtualMachine) bool { return vm != nil }); !printable("Stopped")(vm) {
			t.Errorf("it is %s", vm.Status.PrintableStatus)
		}
		spec.Covers(t, "P2-SYSPREP-09", "P2-SYSPREP-11")
	})
}

// TestMissingConfig is an instance whose ConfigMap does not exist: it says so, and goes on once there is one.
func TestMissingConfig(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{
		Null:    true,
		Disks:   "- {name: settings, disk: {bus: virtio}}",
		Volumes: "- name: settings\n  configMap: {name: nowhere}",
	}.VMI("unconfigured"))
	c.WaitVMI(t, ns, "unconfigured", "waiting for its ConfigMap", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi != nil && slices.ContainsFunc(vmi.Status.Conditions, func(c virtv1.VirtualMachineInstanceCondition) bool {
			return c.Type == virtv1.VirtualMachineInstanceProvisioning && c.Reason == "FailedMount" && strings.Contains(c.Message, `"settings"`) && strings.Contains(c.Message, `configmap "nowhere" not found`)
		})
	})
	warned(t, c, ns, "unconfigured", `configmap "nowhere" not found`)
	c.Kubectl(t, "", "-n", ns, "create", "configmap", "nowhere", "--from-literal=key=value")
	c.WaitVMI(t, ns, "unconfigured", "running", harness.BootLimit, harness.Running)
	spec.Covers(t, "P2-ENV-03")
}

// TestVolumeKeys sends volumes under each key of the manual, and under those that its tables misprint.
func TestVolumeKeys(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	try := func(volume string) (string, error) {
		manifest := harness.Instance{Disks: "- {name: v, disk: {bus: virtio}}", Volumes: "- name: v\n  " + volume}.VM("keys", "Halted")
		return c.TryKubectl(t, manifest, "-n", ns, "apply", "--dry-run=server", "-f", "-")
	}
	for _, volume := range []string{
		"ephemeral: {persistentVolumeClaim: {claimName: c}}", "persistentVolumeClaim: {claimName: c}", "dataVolume: {name: d}",
		"cloudInitNoCloud: {userData: x}", "containerDisk: {image: i}", "emptyDisk: {capacity: 1Gi}",
	} {
		if out, err := try(volume); err != nil {
			t.Errorf("%s: %v\n%s", volume, err, out)
		}
	}
	for volume, want := range map[string]string{
		"ephemere: {persistentVolumeClaim: {claimName: c}}": `unknown field "spec.template.spec.volumes[1].ephemere"`,
		"donneesVolume: {name: d}":                          `unknown field "spec.template.spec.volumes[1].donneesVolume"`,
		"emptyDisk: {}":                                     "spec.template.spec.volumes[1].emptyDisk.capacity",
		"ephemeral: {}":                                     "spec.template.spec.volumes[1].ephemeral.persistentVolumeClaim",
		"ephemeral: {dataVolume: {name: d}}":                `unknown field "spec.template.spec.volumes[1].ephemeral.dataVolume"`,
	} {
		if out, err := try(volume); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v, want %s:\n%s", volume, err, want, out)
		}
	}
	spec.Covers(t, "P1-VOL-08")
}

// golden is the disk under the layer.
func golden() []byte { return append([]byte("golden\n"), make([]byte, 1<<20-7)...) }

// keep makes two claims and a pod that fills and reads them, as the user that guests have in their pods.
func keep(t *testing.T, c *harness.Cluster, ns string) {
	t.Helper()
	c.Apply(t, ns, `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: golden}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 16Mi}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: shared}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 16Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: keeper}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 107, runAsGroup: 107, fsGroup: 107}
  containers:
  - name: keeper
    image: registry.virtplane.local:5000/virtplane/virt-launcher:devel
    imagePullPolicy: IfNotPresent
    command: [/bin/bash, -c, "trap exit TERM; while :; do sleep 1 & wait; done"]
    volumeMounts: [{name: golden, mountPath: /golden}, {name: shared, mountPath: /shared}]
  volumes:
  - {name: golden, persistentVolumeClaim: {claimName: golden}}
  - {name: shared, persistentVolumeClaim: {claimName: shared}}
`)
	c.Kubectl(t, "", "-n", ns, "wait", "--for=condition=Ready", "--timeout=90s", "pod/keeper")
	c.Exec(t, ns, "keeper", "keeper", "bash", "-c", "truncate -s 1M /golden/disk.img; echo golden | dd of=/golden/disk.img conv=notrunc 2>/dev/null; echo from the pod >/shared/from-pod")
}

// nodeFolder is a folder of the node where the claims are, which a guest's pod may write to.
func nodeFolder(t *testing.T, c *harness.Cluster, ns string) string {
	t.Helper()
	node := strings.TrimSpace(c.Kubectl(t, "", "-n", ns, "get", "pod", "keeper", "-o", "jsonpath={.spec.nodeName}"))
	dir := "/var/lib/e2e-host-disk-" + ns
	c.OnNode(t, node, "mkdir "+dir+"; chown 107:107 "+dir)
	t.Cleanup(func() { c.OnNode(t, node, "rm -rf "+dir) })
	return dir
}

// turnOn adds feature gates to the cluster's configuration until the test ends.
func turnOn(t *testing.T, c *harness.Cluster, gates ...string) {
	t.Helper()
	var added []string
	configure(t, c, func(d *virtv1.DeveloperConfiguration) {
		added = slices.DeleteFunc(slices.Clone(gates), func(g string) bool { return slices.Contains(d.FeatureGates, g) })
		d.FeatureGates = append(d.FeatureGates, added...)
	})
	t.Cleanup(func() {
		configure(t, c, func(d *virtv1.DeveloperConfiguration) {
			d.FeatureGates = slices.DeleteFunc(d.FeatureGates, func(g string) bool { return slices.Contains(added, g) })
		})
	})
}

// configure changes the developers' part of the cluster's configuration.
func configure(t *testing.T, c *harness.Cluster, change func(*virtv1.DeveloperConfiguration)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	api := c.Virt.KubevirtV1().KubeVirts(harness.SystemNamespace)
	for {
		kv, err := api.Get(ctx, "kubevirt", metav1.GetOptions{})
		if err == nil {
			d := &kv.Spec.Configuration.DeveloperConfiguration
			if *d == nil {
				*d = &virtv1.DeveloperConfiguration{}
			}
			change(*d)
			_, err = api.Update(ctx, kv, metav1.UpdateOptions{})
		}
		if err == nil {
			return
		}
		select { // somebody else may change it at the same time, but not for ever
		case <-ctx.Done():
			t.Errorf("changing the configuration of the cluster: %v", err)
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// applySoon applies a manifest that the API takes once it has seen a new configuration.
func applySoon(t *testing.T, c *harness.Cluster, ns, manifest string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		out, err := c.TryKubectl(t, manifest, "-n", ns, "apply", "-f", "-")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("applying: %v\n%s", err, out)
		}
	}
}

// without takes a disk and its volume out of the machine.
func without(t *testing.T, c *harness.Cluster, ns, name string) {
	t.Helper()
	vm, err := c.Virt.KubevirtV1().VirtualMachines(ns).Get(t.Context(), "configured", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &vm.Spec.Template.Spec
	s.Volumes = slices.DeleteFunc(s.Volumes, func(v virtv1.Volume) bool { return v.Name == name })
	s.Domain.Devices.Disks = slices.DeleteFunc(s.Domain.Devices.Disks, func(d virtv1.Disk) bool { return d.Name == name })
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"volumes": s.Volumes, "domain": map[string]any{"devices": map[string]any{"disks": s.Domain.Devices.Disks}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	c.Kubectl(t, "", "-n", ns, "patch", "vm", "configured", "--type=merge", "-p", string(patch))
}

// insight is the root shell of a tiny guest.
type insight struct{ console *serial.Console }

func lookInto(t *testing.T, c *harness.Cluster, ns, name string) *insight {
	t.Helper()
	g := &insight{console: c.Console(t, ns, name)}
	harness.Shell(t, g.console)
	return g
}

// boot is the identity of the guest's boot.
func (g *insight) boot(t *testing.T) string {
	t.Helper()
	return g.run(t, showBoot)
}

const showBoot = "cat /proc/sys/kernel/random/boot_id"

// reboot reboots the guest from within.
func (g *insight) reboot(t *testing.T) {
	t.Helper()
	before := g.boot(t)
	if err := g.console.Type("reboot\r"); err != nil {
		t.Fatal(err)
	}
	g.rebooted(t, before)
}

// rebooted waits until the guest, which somebody reboots, tells of another boot, and returns its identity.
func (g *insight) rebooted(t *testing.T, before string) string {
	t.Helper()
	for deadline := time.Now().Add(harness.BootLimit); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		boot, err := g.console.Run(ctx, showBoot)
		cancel()
		if err == nil && another(before, boot) {
			return boot
		}
		if err == nil {
			time.Sleep(time.Second)
		} else if err := g.console.Type("\x03\r"); err != nil { // what was typed while it booted may be half a line
			t.Fatal(err)
		}
	}
	t.Fatal("the guest has not rebooted")
	return ""
}

// another says whether a guest tells of a boot that is not the one before. What ends a guest writes on the console too, between
// the lines of a command.
func another(before, says string) bool {
	return regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(says) && says != before
}

func (g *insight) run(t *testing.T, command string) string {
	t.Helper()
	return harness.Run(t, g.console, command)
}

// disk finds the disk with a serial.
func (g *insight) disk(t *testing.T, serial string) string {
	t.Helper()
	got := g.run(t, "for d in /sys/block/vd*; do [ \"$(cat $d/serial)\" = "+serial+" ] && echo /dev/${d##*/}; done; true")
	if !strings.HasPrefix(got, "/dev/vd") {
		t.Fatalf("no disk with serial %s: %q", serial, got)
	}
	return got
}

// mount mounts a disk below /m.
func (g *insight) mount(t *testing.T, name, device string) {
	t.Helper()
	if got := g.run(t, "mkdir -p /m/"+name+" && mount -t iso9660 -o ro "+device+" /m/"+name+" && echo mounted"); got != "mounted" {
		t.Fatalf("mounting %s: %q", device, got)
	}
}

// checkMetrics looks for figures of node and guest in what the guest was told.
func checkMetrics(t *testing.T, body, node string) {
	t.Helper()
	var doc struct {
		Metrics []struct {
			Context string `xml:"context,attr"`
			Name    string `xml:"name"`
			Value   string `xml:"value"`
		} `xml:"metric"`
	}
	if err := xml.NewDecoder(bytes.NewReader([]byte(body))).Decode(&doc); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	got := map[string]string{}
	for _, m := range doc.Metrics {
		got[m.Context+"/"+m.Name] = m.Value
	}
	for name, want := range map[string]string{"host/HostName": node, "host/VirtualizationVendor": "kubevirt.io", "vm/ResourceMemoryLimit": "131072", "vm/ResourceProcessorLimit": "1"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"vm/TotalCPUTime", "host/TotalCPUTime", "host/FreePhysicalMemory", "host/Time"} {
		if n, err := strconv.ParseFloat(got[name], 64); err != nil || n <= 0 {
			t.Errorf("%s is %q", name, got[name])
		}
	}
}
