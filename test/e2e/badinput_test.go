package e2e

import (
	"bytes"
	"compress/gzip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/e2e/harness"
	"github.com/virtplane/virtplane/test/image"
	"github.com/virtplane/virtplane/test/spec"
)

const badRegistry = "registry.virtplane.local:5000/virtplane/test-"

// diskImage makes a disk with qemu-img and returns its path.
func diskImage(t *testing.T, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.img")
	cmd := exec.Command("qemu-img", append([]string{"create", "-q"}, append(args[:len(args)-1], path, args[len(args)-1])...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	return path
}

// gzipped packs data.
func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// build makes an image of these files, and gives its name and its archive.
func build(t *testing.T, name string, files ...image.File) (ref, archive string) {
	t.Helper()
	ref, archive = badRegistry+name+":devel", filepath.Join(t.TempDir(), name+".tar")
	if _, err := image.Build(image.Spec{Ref: ref, Files: files}, archive); err != nil {
		t.Fatal(err)
	}
	return ref, archive
}

// explainedLimit bounds the time until what is wrong is told: the kubelet pulls first, and tries again ever more rarely.
const explainedLimit = 3 * time.Minute

// warned waits for a warning event about an object that says something.
func warned(t *testing.T, c *harness.Cluster, ns, name, want string) {
	t.Helper()
	about := metav1.ListOptions{FieldSelector: "involvedObject.name=" + name + ",type=Warning"}
	eventually(t, "a warning event about "+name+" says "+want, explainedLimit, func() (string, bool) {
		events, err := c.Kube.CoreV1().Events(ns).List(t.Context(), about)
		if err != nil {
			return err.Error(), false
		}
		var said []string
		for _, e := range events.Items {
			said = append(said, e.Reason+": "+e.Message)
		}
		all := strings.Join(said, "\n")
		return all, strings.Contains(all, want)
	})
}

// TestBadDisks gives machines what cannot work and wants each to end in a condition and an event that say so.
func TestBadDisks(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	disk := func(path, source string) image.File {
		return image.File{Path: path, Mode: 0o440, UID: 107, GID: 107, Source: source}
	}
	small := diskImage(t, "-f", "raw", "1M")
	backing := diskImage(t, "-f", "qcow2", "-b", small, "-F", "raw", "1M")
	huge := diskImage(t, "-f", "qcow2", "2T")
	var archives []string
	load := func(name string, files ...image.File) string {
		t.Helper()
		ref, archive := build(t, name, files...)
		archives = append(archives, archive)
		return ref
	}
	cases := []struct{ name, image, volume, want string }{
		{name: "missing-image", image: "registry.virtplane.local:5000/virtplane/does-not-exist:devel", want: "does-not-exist"},
		{name: "no-disk-folder", image: load("no-disk", image.File{Path: "/readme", Content: []byte("x")}), want: "/disk"},
		{name: "two-disks", image: load("two-disks", disk("/disk/a.img", small), disk("/disk/b.img", small)), want: "must hold one file, not 2"},
		{name: "backing-file", image: load("backing", disk("/disk/disk.qcow2", backing)), want: "backing file"},
		{name: "too-large", image: load("huge", disk("/disk/disk.qcow2", huge)), want: "limit"},
		{name: "unknown-format", image: load("vmdk", disk("/disk/disk.vmdk", diskImage(t, "-f", "vmdk", "1M"))), want: "must be raw or qcow2"},
		{name: "packed", image: load("packed", image.File{Path: "/disk/disk.img.gz", Mode: 0o440, UID: 107, GID: 107, Content: gzipped(t, make([]byte, 1<<20))}), want: "is packed with gzip"},
		{name: "of-root", image: load("of-root", image.File{Path: "/disk/disk.img", Mode: 0o400, Source: small}), want: "must belong to 107:107"},
		{name: "missing-claim", volume: "persistentVolumeClaim: {claimName: nowhere}", want: "nowhere"},
		{name: "missing-secret-key", volume: "cloudInitNoCloud: {secretRef: {name: empty}}", want: "userdata"},
		{name: "corrupt-cloud-init", volume: `cloudInitNoCloud: {userData: "#cloud-config\nusers: [a\nhostname: b\n"}`, want: "line 3"},
		{name: "corrupt-secret", volume: "cloudInitConfigDrive: {secretRef: {name: corrupt}}", want: "must hold keys and values, not a list"},
	}
	if err := harness.Local(t).LoadImage(t.Context(), archives...); err != nil {
		t.Fatal(err)
	}
	c.Apply(t, ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: empty}\nstringData: {other: x}\n")
	c.Apply(t, ns, "apiVersion: v1\nkind: Secret\nmetadata: {name: corrupt}\nstringData: {userdata: \"#cloud-config\\n- a\\n\"}\n")
	var manifests []string
	for _, tc := range cases {
		manifest := strings.ReplaceAll(harness.Instance{}.VMI(tc.name), harness.TinyImage, tc.image)
		if tc.volume != "" {
			manifest = harness.Instance{Disks: "- name: bad\n  disk: {bus: virtio}", Volumes: "- name: bad\n  " + tc.volume}.VMI(tc.name)
		}
		manifests = append(manifests, manifest)
	}
	c.Apply(t, ns, strings.Join(manifests, "---\n"))
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c.WaitVMI(t, ns, tc.name, "explained by a condition that says "+tc.want, explainedLimit, func(vmi *virtv1.VirtualMachineInstance) bool {
				if vmi == nil {
					return false
				}
				for _, cond := range vmi.Status.Conditions {
					if strings.Contains(cond.Message, tc.want) {
						return true
					}
				}
				return false
			})
			warned(t, c, ns, tc.name, tc.want)
		})
	}
	t.Run("all can be deleted", func(t *testing.T) {
		c.Kubectl(t, "", "-n", ns, "delete", "vmi", "--all", "--timeout=90s")
	})
	spec.Covers(t, "P3-CDISK-07", "P3-CDISK-08")
}

// TestFullDisk lets a guest write more than the file system below its disk holds: it must stop in front of the write, say
// why, and go on where it stopped once there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	node, dir := c.Nodes(t)[0], "/var/lib/e2e-full-"+ns
	c.OnNode(t, node, "mkdir "+dir+"; mount -t tmpfs -o size=8m,uid=107,gid=107,mode=0770 tmpfs "+dir)
	t.Cleanup(func() { c.OnNode(t, node, "umount -l "+dir+"; rmdir "+dir) })
	t.Cleanup(func() {
		if out, err := exec.Command("kubectl", "delete", "pv", ns, "--ignore-not-found", "--wait=false").CombinedOutput(); err != nil {
			t.Errorf("deleting the volume: %v\n%s", err, out)
		}
	})
	c.Apply(t, ns, `
apiVersion: v1
kind: PersistentVolume
metadata: {name: `+ns+`}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 64Mi}
  persistentVolumeReclaimPolicy: Retain
  storageClassName: `+ns+`
  local: {path: `+dir+`}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [`+node+`]}]}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: small}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: `+ns+`
  resources: {requests: {storage: 64Mi}}
`)
	c.Apply(t, ns, harness.Instance{Disks: "- name: data\n  disk: {bus: virtio}", Volumes: "- name: data\n  persistentVolumeClaim: {claimName: small}"}.VM("full", "Always"))
	c.WaitVMI(t, ns, "full", "running", harness.BootLimit, harness.Running)
	console := c.Console(t, ns, "full")
	harness.Shell(t, console)
	if err := console.Send("dd if=/dev/urandom of=/dev/vdb bs=1M count=16 conv=fsync && echo all is wr''itten"); err != nil {
		t.Fatal(err)
	}
	c.WaitVMI(t, ns, "full", "paused for want of space", time.Minute, func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi != nil && slices.ContainsFunc(vmi.Status.Conditions, func(cond virtv1.VirtualMachineInstanceCondition) bool {
			return cond.Type == virtv1.VirtualMachineInstancePaused && cond.Status == "True" && cond.Reason == "PausedIOError" &&
				strings.Contains(cond.Message, "data") && strings.Contains(cond.Message, "space")
		})
	})
	c.WaitVM(t, ns, "full", "Paused", time.Minute, printable("Paused"))
	warned(t, c, ns, "full", "space")
	c.OnNode(t, node, "mount -o remount,size=64m "+dir)
	virt(t, c, ns, "VMI full was scheduled to unpause", "unpause", "vmi", "full")
	harness.Expect(t, console, time.Minute, "all is written")
}

// TestUnschedulable wants a machine that no node can take to say so.
func TestUnschedulable(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, harness.Instance{Extra: "nodeSelector: {no/such: node}\n"}.VM("lost", "Always"))
	vm := c.WaitVM(t, ns, "lost", "ErrorUnschedulable", time.Minute, printable("ErrorUnschedulable"))
	explained := slices.ContainsFunc(vm.Status.Conditions, func(cond virtv1.VirtualMachineCondition) bool {
		return cond.Type == virtv1.VirtualMachineReady && cond.Status == "False" && strings.Contains(cond.Message, "nodes are available")
	})
	if !explained {
		t.Errorf("no Ready condition says why: %+v", vm.Status.Conditions)
	}
}

// TestRefusals sends what the API must refuse, with a message that names the field.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := harness.Connect(t)
	ns := c.Namespace(t)
	good := harness.Instance{}.VM("x", "Always")
	for _, tc := range []struct{ name, manifest, want string }{
		{"both running and runStrategy", strings.Replace(good, "runStrategy: Always", "runStrategy: Always\n  running: true", 1), "mutually exclusive"},
		{"unknown strategy", strings.Replace(good, "Always", "Sometimes", 1), "spec.runStrategy"},
		// A VirtualMachine with such a disk is taken with a warning, since the manual's own examples have it; its instance is not.
		{"disk without volume", strings.Replace(harness.Instance{}.VMI("x"), "- name: root\n    containerDisk", "- name: other\n    containerDisk", 1), "spec.domain.devices.disks[0].name"},
		{"no name", strings.Replace(good, "{name: x}", "{labels: {a: b}}", 1), "name"},
		{"misspelt field", strings.Replace(good, "runStrategy:", "RunStrategi:", 1), "unknown field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := c.TryKubectl(t, tc.manifest, "-n", ns, "create", "-f", "-")
			if err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("error %v, want it to say %q:\n%s", err, tc.want, out)
			}
		})
	}
	spec.Covers(t, "P1-RUN-01", "P2-STATE-13", "P2-X-07", "P1-RUN-08")

	t.Run("fields that are not edited", func(t *testing.T) {
		// The generation is that of the spec: the status may change meanwhile.
		generation := func(resource string) string {
			t.Helper()
			return c.Kubectl(t, "", "-n", ns, "get", resource, "-o", "jsonpath={.metadata.generation}")
		}
		// Nowhere to run: what is looked at is the object.
		c.Apply(t, ns, harness.Instance{Extra: "nodeSelector: {nowhere: here}\n"}.VMI("fixed"))
		before := generation("vmi/fixed")
		for _, tc := range []struct{ patch, want string }{
			{`{"spec":{"hostname":"other"}}`, "spec: Forbidden: update of VMI object is restricted"},
			{`{"spec":{"domain":{"memory":{"guest":"1Gi"}}}}`, "spec: Forbidden: update of VMI object is restricted"},
			{`{"metadata":{"uid":"5d307ca9-b3ef-428c-8861-06e72d69f223"}}`, "uid"},
		} {
			if out, err := c.TryKubectl(t, "", "-n", ns, "patch", "vmi", "fixed", "--type=merge", "-p", tc.patch); err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("%s: %v, want it to say %q:\n%s", tc.patch, err, tc.want, out)
			}
		}
		c.Apply(t, ns, harness.Instance{}.VM("edited", "Halted"))
		was := generation("vm/edited")
		if out, err := c.TryKubectl(t, "", "-n", ns, "patch", "vm", "edited", "--type=merge", "-p", `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":-1}}}}`); err == nil || !strings.Contains(out, "spec.template.spec.terminationGracePeriodSeconds") {
			t.Errorf("an invalid edit: %v\n%s", err, out)
		}
		if generation("vm/edited") != was {
			t.Error("an edit that was refused has changed the machine")
		}
		c.Kubectl(t, "", "-n", ns, "patch", "vm", "edited", "--type=merge", "-p", `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":7}}}}`)
		if generation("vm/edited") == was {
			t.Error("an edit has left the generation as it was")
		}
		if got := c.Kubectl(t, "", "-n", ns, "get", "vmi", "fixed", "-o", "jsonpath={.spec.hostname}{.metadata.uid}"); strings.Contains(got, "other") || strings.Contains(got, "5d307ca9") || generation("vmi/fixed") != before {
			t.Errorf("refused edits have left %s", got)
		}
		spec.Covers(t, "P1-VMEDIT-04")
	})
}
