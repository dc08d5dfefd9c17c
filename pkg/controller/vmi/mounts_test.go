package vmi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

func failure(reason, message string, at time.Time) corev1.Event {
	return corev1.Event{Reason: reason, Message: message, LastTimestamp: metav1.NewTime(at)}
}

func TestLastFailure(t *testing.T) {
	plain := failure("FailedMount", "MountVolume.SetUp failed: secret \"s\" not found", noon)
	summed := failure("FailedMount", "Unable to attach or mount volumes: unmounted volumes=[volume-0]", noon.Add(time.Minute))
	later := failure("FailedAttachVolume", "no such disk", noon.Add(time.Second))
	series := corev1.Event{Reason: "FailedMapVolume", Message: "series", Series: &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(noon.Add(time.Hour))}}
	single := corev1.Event{Reason: "FailedMapVolume", Message: "single", EventTime: metav1.NewMicroTime(noon.Add(2 * time.Hour))}
	for _, tc := range []struct {
		name string
		list []corev1.Event
		want string
	}{
		{"none", nil, ""},
		{"others", []corev1.Event{failure("Pulled", "pulled", noon), failure("Scheduled", "scheduled", noon)}, ""},
		{"newest", []corev1.Event{plain, later}, later.Message},
		{"newest first", []corev1.Event{later, plain}, later.Message},
		{"plain before summary", []corev1.Event{summed, plain}, plain.Message},
		{"summary after plain", []corev1.Event{plain, summed}, plain.Message},
		{"summary alone", []corev1.Event{summed}, summed.Message},
		{"in the new form", []corev1.Event{plain, series, later}, series.Message},
		{"of the new form, once", []corev1.Event{single, series}, single.Message},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if e := lastFailure(tc.list); e != nil {
				got = e.Message
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestMountsOthers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		volume virtv1.Volume
		want   bool
	}{
		{"container disk", virtv1.Volume{ContainerDisk: &virtv1.ContainerDiskSource{}}, false},
		{"inline cloud-init", virtv1.Volume{CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{UserData: "x"}}, false},
		{"cloud-init of a Secret", virtv1.Volume{CloudInitConfigDrive: &virtv1.CloudInitConfigDriveSource{SecretRef: &corev1.LocalObjectReference{Name: "s"}}}, true},
		{"claim", virtv1.Volume{DataVolume: &virtv1.DataVolumeSource{Name: "d"}}, true},
		{"ConfigMap", virtv1.Volume{ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "c"}}, true},
		{"host disk", virtv1.Volume{HostDisk: &virtv1.HostDisk{Path: "/d"}}, true},
	} {
		if got := mountsOthers(&virtv1.VirtualMachineInstanceSpec{Volumes: []virtv1.Volume{tc.volume}}); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// TestMissingConfigMapIsTold is a pod that the kubelet cannot start: the instance says why, in the words and under the reason that
// the kubelet has, and forgets it once the pod goes on.
func TestMissingConfigMapIsTold(t *testing.T) {
	vmi := pending()
	vmi.Spec.Volumes = []virtv1.Volume{
		{Name: "root", ContainerDisk: &virtv1.ContainerDiskSource{Image: "i"}},
		{Name: "settings", ConfigMap: &virtv1.ConfigMapVolumeSource{Name: "gone"}},
	}
	w := newWorld(t, vmi)
	w.reconcile()
	w.updatePod(func(p *corev1.Pod) {
		p.Spec.NodeName = "node-1"
		p.Status.Conditions = []corev1.PodCondition{{Type: "PodScheduled", Status: "True", LastTransitionTime: metav1.NewTime(noon)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}}
	})
	failing := false
	w.r.Live = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if failing {
				return errors.New("events are not to be had")
			}
			var o client.ListOptions
			o.ApplyOptions(opts)
			if got := o.FieldSelector.String(); got != "involvedObject.uid=pod-uid" || o.Namespace != "ns" {
				t.Errorf("asked for %s in %s", got, o.Namespace)
			}
			list.(*corev1.EventList).Items = []corev1.Event{failure("FailedMount", `MountVolume.SetUp failed for volume "volume-1" : configmap "gone" not found`, noon)}
			return nil
		},
	})
	if result := w.reconcile(); result.RequeueAfter != mountPatience {
		t.Errorf("looked at again in %v", result.RequeueAfter)
	}
	w.clock.SetTime(noon.Add(mountPatience))
	w.told()
	failing = true
	if result := w.reconcile(); result.RequeueAfter != mountInterval || conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning) != nil {
		t.Errorf("without events: looked at again in %v", result.RequeueAfter)
	}
	failing = false
	if result := w.reconcile(); result.RequeueAfter != mountInterval {
		t.Errorf("looked at again in %v", result.RequeueAfter)
	}
	c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
	if c == nil || c.Reason != "FailedMount" || !strings.HasSuffix(c.Message, `waits for a volume: MountVolume.SetUp failed for volume "settings" : configmap "gone" not found`) {
		t.Fatalf("condition %+v", c)
	}
	if told := w.told(); !strings.Contains(told, "Warning FailedMount") {
		t.Errorf("events: %s", told)
	}
	w.updatePod(func(p *corev1.Pod) {
		containersRun(p)
	})
	if result := w.reconcile(); result.RequeueAfter != 0 {
		t.Errorf("looked at again in %v", result.RequeueAfter)
	}
	if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning); c != nil {
		t.Errorf("still waiting: %+v", c)
	}
	spec.Covers(t, "P2-ENV-03")
}
