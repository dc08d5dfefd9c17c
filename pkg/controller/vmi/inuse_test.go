package vmi

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// holder is another instance on claim data, which has a node.
func holder(change func(*virtv1.VirtualMachineInstance)) *virtv1.VirtualMachineInstance {
	vmi := pending()
	vmi.Name, vmi.UID = "other", "other-uid"
	vmi.Status.Phase, vmi.Status.NodeName = virtv1.Running, "node-1"
	onData(virtv1.Disk{Name: "v"})(vmi)
	if change != nil {
		change(vmi)
	}
	return vmi
}

// onData gives an instance the claim data as a disk.
func onData(d virtv1.Disk) func(*virtv1.VirtualMachineInstance) {
	return func(vmi *virtv1.VirtualMachineInstance) {
		vmi.Spec.Volumes = []virtv1.Volume{{Name: "v", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}
		vmi.Spec.Domain.Devices.Disks = []virtv1.Disk{d}
	}
}

func TestClaimInUse(t *testing.T) {
	type change = func(*virtv1.VirtualMachineInstance)
	writes, shares := onData(virtv1.Disk{Name: "v"}), onData(virtv1.Disk{Name: "v", Shareable: ptr.To(true)})
	reads := onData(virtv1.Disk{Name: "v", Disk: &virtv1.DiskTarget{Readonly: ptr.To(true)}})
	cd := onData(virtv1.Disk{Name: "v", Cdrom: &virtv1.CDRomTarget{}})
	mounted := func(vmi *virtv1.VirtualMachineInstance) {
		writes(vmi)
		vmi.Spec.Volumes[0].PersistentVolumeClaim.ReadOnly = ptr.To(true)
	}
	diskless := func(vmi *virtv1.VirtualMachineInstance) {
		writes(vmi)
		vmi.Spec.Domain.Devices.Disks = nil
	}
	overlay := func(vmi *virtv1.VirtualMachineInstance) {
		writes(vmi)
		vmi.Spec.Volumes[0] = virtv1.Volume{Name: "v", Ephemeral: &virtv1.EphemeralVolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}
	}
	dataVolume := func(vmi *virtv1.VirtualMachineInstance) {
		writes(vmi)
		vmi.Spec.Volumes[0] = virtv1.Volume{Name: "v", DataVolume: &virtv1.DataVolumeSource{Name: "data"}}
	}
	folder := func(vmi *virtv1.VirtualMachineInstance) {
		writes(vmi)
		vmi.Spec.Domain.Devices.Disks, vmi.Spec.Domain.Devices.Filesystems = nil, []virtv1.Filesystem{{Name: "v"}}
	}
	and := func(all ...change) change {
		return func(vmi *virtv1.VirtualMachineInstance) {
			for _, c := range all {
				c(vmi)
			}
		}
	}
	state := func(s func(*virtv1.VirtualMachineInstanceStatus)) change {
		return func(vmi *virtv1.VirtualMachineInstance) { s(&vmi.Status) }
	}
	unbound := state(func(s *virtv1.VirtualMachineInstanceStatus) { s.Phase, s.NodeName = virtv1.Pending, "" })
	older := func(vmi *virtv1.VirtualMachineInstance) { vmi.CreationTimestamp = metav1.NewTime(noon.Add(-time.Hour)) }
	for _, tc := range []struct {
		name         string
		holder, mine change
		modes        []corev1.PersistentVolumeAccessMode
		waits        bool
		elsewhere    string
		withPod      bool
	}{
		{name: "both write", holder: writes, mine: writes, waits: true},
		{name: "both write to one of many nodes", holder: writes, mine: writes, modes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, waits: true},
		{name: "both share", holder: shares, mine: shares},
		{name: "the holder alone shares", holder: shares, mine: writes, waits: true},
		{name: "the second alone shares", holder: writes, mine: shares, waits: true},
		{name: "both read", holder: reads, mine: reads},
		{name: "both read in their ways", holder: overlay, mine: mounted},
		{name: "both have it in their drive", holder: cd, mine: cd},
		{name: "the second reads what the holder writes", holder: writes, mine: reads, waits: true},
		{name: "the second writes what the holder reads", holder: overlay, mine: writes, waits: true},
		{name: "as a data volume", holder: dataVolume, mine: writes, waits: true},
		{name: "a volume without a disk is one", holder: diskless, mine: writes, waits: true},
		{name: "a shared folder", holder: folder, mine: folder},
		{name: "in another namespace", holder: writes, mine: writes, elsewhere: "far"},
		{name: "the holder has ended", holder: and(writes, state(func(s *virtv1.VirtualMachineInstanceStatus) { s.Phase = virtv1.Succeeded })), mine: writes},
		{name: "the holder has failed", holder: and(writes, state(func(s *virtv1.VirtualMachineInstanceStatus) { s.Phase = virtv1.Failed })), mine: writes},
		{name: "the holder is on its way out", holder: and(writes, func(vmi *virtv1.VirtualMachineInstance) { vmi.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) }), mine: writes, waits: true},
		{name: "the holder has a pod and no node", holder: and(writes, unbound), mine: writes, withPod: true, waits: true},
		{name: "the other has not begun", holder: and(writes, unbound), mine: and(writes, older)},
		{name: "the other begins too and is older", holder: and(writes, unbound, older), mine: writes, waits: true},
		{name: "the other is older and waits itself", holder: and(writes, unbound, older, state(func(s *virtv1.VirtualMachineInstanceStatus) {
			setWait(s, virtv1.VirtualMachineInstanceProvisioning, wait{reason: ReasonClaimNotFound, message: "x"}, metav1.NewTime(noon))
		})), mine: writes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			other, mine, data := holder(tc.holder), pending(), claim("data")
			mine.CreationTimestamp = metav1.NewTime(noon)
			if other.CreationTimestamp.IsZero() {
				other.CreationTimestamp = metav1.NewTime(noon)
			}
			tc.mine(mine)
			data.Spec.AccessModes = tc.modes
			if tc.elsewhere != "" {
				other.Namespace = tc.elsewhere
			}
			objects := []client.Object{other, mine, data}
			if tc.withPod {
				objects = append(objects, Pod(other, 0, emulation(true)))
			}
			w := newWorld(t, objects...)
			w.reconcile()
			c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
			if !tc.waits {
				if c != nil || w.pod() == nil {
					t.Fatalf("condition %+v", c)
				}
				return
			}
			if c == nil || c.Reason != "PersistentVolumeClaimInUse" || !strings.Contains(c.Message, "PersistentVolumeClaim data is in use by VirtualMachineInstance other") {
				t.Fatalf("condition %+v", c)
			}
			if told := w.told(); strings.Count(told, "PersistentVolumeClaimInUse") != 1 {
				t.Errorf("events: %s", told)
			}
			if got := w.r.rivals(t.Context(), other); len(got) != 1 || got[0].Name != "web" {
				t.Errorf("the end of the holder brings %v", got)
			}
			w.gone(other)
			w.reconcile()
			if w.pod() == nil || conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning) != nil {
				t.Error("not started although the claim is free")
			}
		})
	}
}

// gone takes an instance and its pod away.
func (w *world) gone(vmi *virtv1.VirtualMachineInstance) {
	w.t.Helper()
	if pod := w.pod(); pod != nil {
		if err := w.client.Delete(w.t.Context(), pod); err != nil {
			w.t.Fatal(err)
		}
	}
	var now virtv1.VirtualMachineInstance
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(vmi), &now); err != nil {
		w.t.Fatal(err)
	}
	now.Finalizers = nil
	if err := w.client.Update(w.t.Context(), &now); err != nil {
		w.t.Fatal(err)
	}
	if err := w.client.Delete(w.t.Context(), &now); client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
}

// TestGivesWay: the events of a holder by which others are looked at again, and no others.
func TestGivesWay(t *testing.T) {
	waits := func(vmi *virtv1.VirtualMachineInstance) {
		setWait(&vmi.Status, virtv1.VirtualMachineInstanceProvisioning, wait{reason: ReasonClaimNotFound, message: "x"}, metav1.NewTime(noon))
	}
	for _, tc := range []struct {
		name    string
		was, is func(*virtv1.VirtualMachineInstance)
		want    bool
	}{
		{"nothing", nil, nil, false},
		{"it ends", nil, func(vmi *virtv1.VirtualMachineInstance) { vmi.Status.Phase = virtv1.Succeeded }, true},
		{"it ends while it is deleted", func(vmi *virtv1.VirtualMachineInstance) { vmi.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) },
			func(vmi *virtv1.VirtualMachineInstance) { vmi.Status.Phase = virtv1.Failed }, true},
		{"it begins to wait", nil, waits, true},
		{"it waits on", waits, waits, false},
		{"it goes on", waits, nil, false},
	} {
		e := event.UpdateEvent{ObjectOld: holder(tc.was), ObjectNew: holder(tc.is)}
		if got := givesWay.Update(e); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	if !givesWay.Delete(event.DeleteEvent{Object: holder(nil)}) {
		t.Error("its deletion is not seen")
	}
}

// TestClaimForOnePod is a claim that another pod, of whatever kind, has for itself; the scheduler alone would not say which.
func TestClaimForOnePod(t *testing.T) {
	const words = "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode."
	for _, tc := range []struct {
		name  string
		mode  corev1.PersistentVolumeAccessMode
		words string
		pod   func(*corev1.Pod)
		want  string
	}{
		{"a pod of somebody", corev1.ReadWriteOncePod, words, func(*corev1.Pod) {}, "PersistentVolumeClaimInUse"},
		{"a pod that has ended", corev1.ReadWriteOncePod, words, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, "Unschedulable"},
		{"a pod without a node", corev1.ReadWriteOncePod, words, func(p *corev1.Pod) { p.Spec.NodeName = "" }, "Unschedulable"},
		{"a pod on another claim", corev1.ReadWriteOncePod, words, func(p *corev1.Pod) { p.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = "other" }, "Unschedulable"},
		{"a claim for one node", corev1.ReadWriteOnce, "0/2 nodes are available: 2 Insufficient memory.", func(*corev1.Pod) {}, "Unschedulable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mine, data := pending(), claim("data")
			onData(virtv1.Disk{Name: "v"})(mine)
			data.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{tc.mode}
			stranger := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "importer", UID: "stranger"}, Spec: corev1.PodSpec{NodeName: "node-1", Volumes: []corev1.Volume{
				{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
			}}}
			tc.pod(stranger)
			w := newWorld(t, mine, data)
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{{Type: "PodScheduled", Status: "False", Reason: "Unschedulable", Message: tc.words}}
			})
			if err := w.client.Create(t.Context(), stranger); err != nil {
				t.Fatal(err)
			}
			w.reconcile()
			c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
			if c == nil || c.Reason != tc.want || tc.want == ReasonClaimInUse && !strings.Contains(c.Message, "PersistentVolumeClaim data is in use by pod importer") {
				t.Errorf("condition %+v", c)
			}
		})
	}
}
