package vmi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

type fixedConfiguration virtv1.KubeVirtConfiguration

func (f fixedConfiguration) Configuration(context.Context) (virtv1.KubeVirtConfiguration, error) {
	return virtv1.KubeVirtConfiguration(f), nil
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

type world struct {
	t      *testing.T
	client client.Client
	r      *Reconciler
	clock  *testclock.FakePassiveClock
	events *events.FakeRecorder
	writes int
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, virtv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&virtv1.VirtualMachineInstance{}).
		WithIndex(&corev1.Pod{}, podByInstance, func(o client.Object) []string {
			if ref := metav1.GetControllerOf(o); ref != nil {
				return []string{string(ref.UID)}
			}
			return nil
		}).
		WithIndex(&virtv1.VirtualMachineInstance{}, instanceByNode, nodeOf).
		WithIndex(&virtv1.VirtualMachineInstance{}, instanceByClaim, claimsIndexed).
		WithIndex(&virtv1.VirtualMachineInstance{}, instanceByCID, cidOf).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				if _, ours := o.(*virtv1.VirtualMachineInstance); ours {
					w.writes++
				}
				return c.SubResource(sub).Update(ctx, o, opts...)
			},
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if o.GetUID() == "" {
					o.SetUID("pod-uid")
				}
				return c.Create(ctx, o, opts...)
			},
		}).Build()
	w.clock, w.events = testclock.NewFakePassiveClock(noon), events.NewFakeRecorder(100)
	w.r = &Reconciler{Client: w.client, Live: w.client, Recorder: w.events, Clock: w.clock,
		Configuration: fixedConfiguration(emulation(true).Config), LauncherImage: "launcher:1"}
	return w
}

func (w *world) reconcile() ctrl.Result {
	w.t.Helper()
	result, err := w.r.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: "web"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) vmi() *virtv1.VirtualMachineInstance {
	w.t.Helper()
	var vmi virtv1.VirtualMachineInstance
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Namespace: "ns", Name: "web"}, &vmi); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		w.t.Fatal(err)
	}
	return &vmi
}

func (w *world) pod() *corev1.Pod {
	w.t.Helper()
	var pods corev1.PodList
	if err := w.client.List(w.t.Context(), &pods); err != nil {
		w.t.Fatal(err)
	}
	switch len(pods.Items) {
	case 0:
		return nil
	case 1:
		return &pods.Items[0]
	}
	w.t.Fatalf("%d pods", len(pods.Items))
	return nil
}

func (w *world) claim(name string) *corev1.PersistentVolumeClaim {
	w.t.Helper()
	var claim corev1.PersistentVolumeClaim
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Namespace: "ns", Name: name}, &claim); err != nil {
		w.t.Fatal(err)
	}
	return &claim
}

func (w *world) updatePod(change func(*corev1.Pod)) {
	w.t.Helper()
	pod := w.pod()
	change(pod)
	changed := pod.Status
	if err := w.client.Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
	if pod.DeletionTimestamp != nil && len(pod.Finalizers) == 0 {
		return
	}
	pod.Status = changed
	if err := w.client.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
}

// blind hides all pods from the cache.
func (w *world) blind() {
	w.r.Client = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*corev1.PodList); ok {
				return nil
			}
			return c.List(ctx, list, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*corev1.Pod); ok {
				return apierrors.NewNotFound(corev1.Resource("pods"), key.Name)
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
}

// see shows the reconciler a pod as it is given, which the fake server would not let anyone write.
func (w *world) see(pod *corev1.Pod) {
	w.r.Client = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if pods, ok := list.(*corev1.PodList); ok {
				pods.Items = []corev1.Pod{*pod}
				return nil
			}
			return c.List(ctx, list, opts...)
		},
	})
}

func pending() *virtv1.VirtualMachineInstance {
	vmi := guest("128Mi")
	vmi.Finalizers = []string{virtv1.VirtualMachineInstanceFinalizer}
	vmi.Status.Phase = virtv1.Pending
	return &vmi
}

func TestFromPendingToScheduledInOneWrite(t *testing.T) {
	w := newWorld(t, pending())
	w.reconcile()
	if w.pod() == nil {
		t.Fatal("no pod")
	}
	w.reconcile() // nothing has happened since
	if w.writes != 0 {
		t.Fatalf("%d status writes before the pod was bound", w.writes)
	}
	w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
	w.reconcile()
	w.reconcile()
	vmi := w.vmi()
	if vmi.Status.Phase != virtv1.Scheduling || vmi.Status.NodeName != "node-1" || vmi.Status.ActivePods["pod-uid"] != "node-1" {
		t.Errorf("phase %s node %s active %v", vmi.Status.Phase, vmi.Status.NodeName, vmi.Status.ActivePods)
	}
	if w.writes != 1 {
		t.Errorf("%d status writes, want 1", w.writes)
	}
	if vmi.Status.Memory == nil || vmi.Status.Memory.MemoryOverhead.IsZero() {
		t.Errorf("memory %v", vmi.Status.Memory)
	}
	spec.Covers(t, "P1-ARCH-40")
}

func TestWaitingIsExplained(t *testing.T) {
	for _, tc := range []struct {
		name       string
		pod        func(*corev1.Pod)
		reason     string
		message    string
		wantsPhase virtv1.VirtualMachineInstancePhase
	}{
		{"no node", func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: "PodScheduled", Status: "False", Reason: "Unschedulable", Message: "0/2 nodes are available: 2 Insufficient devices.kubevirt.io/kvm."}}
		}, "Unschedulable", "Insufficient devices.kubevirt.io/kvm", virtv1.Scheduling},
		{"no image", func(p *corev1.Pod) {
			p.Spec.NodeName = "node-1"
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}}}}
		}, "ErrImagePull", "not found", virtv1.Scheduling},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, pending())
			w.reconcile()
			w.updatePod(tc.pod)
			w.reconcile()
			vmi := w.vmi()
			c := conditionOf(&vmi.Status, virtv1.VirtualMachineInstanceProvisioning)
			if c == nil || c.Reason != tc.reason || !strings.Contains(c.Message, tc.message) {
				t.Fatalf("condition %+v", c)
			}
			if vmi.Status.Phase != tc.wantsPhase {
				t.Errorf("phase %s", vmi.Status.Phase)
			}
			w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName, p.Status = "node-1", corev1.PodStatus{} })
			w.reconcile()
			if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning); c != nil {
				t.Errorf("condition stays though nothing waits: %+v", c)
			}
		})
	}
}

func TestMissingClaimWaitsAndStartsWhenItComes(t *testing.T) {
	vmi := pending()
	vmi.Spec.Volumes = []virtv1.Volume{{Name: "data", PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}
	w := newWorld(t, vmi)
	w.reconcile()
	if w.pod() != nil {
		t.Fatal("a pod although its claim is missing")
	}
	if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning); c == nil || c.Reason != "PersistentVolumeClaimNotFound" || c.Message != "PersistentVolumeClaim data does not exist: create it, and the machine starts" {
		t.Fatalf("condition %+v", c)
	}
	if err := w.client.Create(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "data"}}); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if w.pod() == nil || conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning) != nil {
		t.Error("not started although the claim is there")
	}
}

// shutDown lets a pod end with exit code 0 and a report.
func shutDown(p *corev1.Pod, reason string, at time.Time) {
	p.Status.Phase = corev1.PodSucceeded
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at), Message: `{"reason":"` + reason + `"}`}}}}
}

// deleted has someone delete a pod at a moment, with the grace period of its spec.
func deleted(p *corev1.Pod, at time.Time) {
	grace := *p.Spec.TerminationGracePeriodSeconds
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = ptr.To(metav1.NewTime(at.Add(time.Duration(grace)*time.Second))), &grace
}

func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pod    func(*corev1.Pod)
		phase  virtv1.VirtualMachineInstancePhase
		reason string
	}{
		{"orderly", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, virtv1.Succeeded, ""},
		{"crash", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: `{"reason":"GuestCrashed","exitCode":1}`}}}}
		}, virtv1.Failed, "GuestCrashed"},
		{"told to end before there was a guest", func(p *corev1.Pod) { shutDown(p, "NotStarted", noon) }, virtv1.Failed, "NotStarted"},
		{"told to end before there was a guest, with words", func(p *corev1.Pod) {
			report := `{"reason":"NotStarted","exitCode":1,"podTerminated":true}`
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: report}}}}
		}, virtv1.Failed, "PodTerminated"},
		{"shut down by an eviction", func(p *corev1.Pod) {
			shutDown(p, `GuestShutdown","podTerminated":true,"message":"`, noon)
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
		}, virtv1.Failed, "PodTerminated"},
		{"crash while it is drained", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1,
				Message: `{"reason":"QEMUFailed","exitCode":1,"podTerminated":true}`}}}}
			deleted(p, noon)
		}, virtv1.Failed, "QEMUFailed"},
		{"drained", func(p *corev1.Pod) { shutDown(p, "GuestShutdown", noon); deleted(p, noon.Add(-5*time.Second)) }, virtv1.Failed, "PodTerminated"},
		{"drained before there was a guest", func(p *corev1.Pod) { shutDown(p, "NotStarted", noon); deleted(p, noon) }, virtv1.Failed, "PodTerminated"},
		{"cleared away after an orderly end", func(p *corev1.Pod) { shutDown(p, "GuestShutdown", noon); deleted(p, noon.Add(time.Second)) }, virtv1.Succeeded, "GuestShutdown"},
		{"evicted", func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" }, virtv1.Failed, "Evicted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, pending())
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
			w.reconcile()
			vmi := w.vmi()
			setCondition(&vmi.Status, virtv1.VirtualMachineInstanceReady, corev1.ConditionTrue, "", "", metav1.NewTime(noon))
			if err := w.client.Status().Update(t.Context(), vmi); err != nil {
				t.Fatal(err)
			}
			pod := w.pod()
			tc.pod(pod)
			w.see(pod)
			w.reconcile()
			s := w.vmi().Status
			if s.Phase != tc.phase || s.Reason != tc.reason {
				t.Errorf("phase %s reason %q", s.Phase, s.Reason)
			}
			if c := conditionOf(&s, virtv1.VirtualMachineInstanceReady); c == nil || c.Status != corev1.ConditionFalse || c.Reason != "GuestNotRunning" {
				t.Errorf("ready %+v", c)
			}
		})
	}
	t.Run("pod gone", func(t *testing.T) {
		w := newWorld(t, pending())
		w.reconcile()
		w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
		w.reconcile()
		if err := w.client.Delete(t.Context(), w.pod()); err != nil {
			t.Fatal(err)
		}
		w.reconcile()
		s := w.vmi().Status
		if s.Phase != virtv1.Failed || s.Reason != "PodGone" {
			t.Errorf("phase %s reason %q", s.Phase, s.Reason)
		}
		if c := conditionOf(&s, virtv1.VirtualMachineInstanceReady); c == nil || c.Status != corev1.ConditionFalse || c.Reason != "PodNotExists" {
			t.Errorf("ready %+v", c)
		}
		if w.pod() != nil {
			t.Error("a second pod for one instance")
		}
		spec.Covers(t, "P1-RUN-07")
	})
}

func TestDeletionWaitsForThePod(t *testing.T) {
	w := newWorld(t, pending())
	w.reconcile()
	w.updatePod(func(p *corev1.Pod) { p.Finalizers = []string{"test/stays"}; p.Spec.NodeName = "node-1" })
	w.reconcile()
	if err := w.client.Delete(t.Context(), w.vmi()); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if w.vmi() == nil {
		t.Fatal("instance gone while its pod exists")
	}
	if w.pod().DeletionTimestamp == nil {
		t.Fatal("pod not deleted")
	}
	w.updatePod(func(p *corev1.Pod) { p.Finalizers = nil })
	w.reconcile()
	if w.vmi() != nil {
		t.Error("instance stays although its pod is gone")
	}
	spec.Covers(t, "P2-VMI-07")
}

// TestEndOfADeletedInstanceIsSeen: the end of an instance that has no machine to tell it stays for a few seconds.
func TestEndOfADeletedInstanceIsSeen(t *testing.T) {
	for _, tc := range []struct {
		name  string
		owner bool
		phase virtv1.VirtualMachineInstancePhase
		age   time.Duration
		left  time.Duration
	}{
		{"ended just now", false, virtv1.Succeeded, 0, 4 * time.Second},
		{"failed just now", false, virtv1.Failed, time.Second, 3 * time.Second},
		{"ended a while ago", false, virtv1.Succeeded, 4 * time.Second, 0},
		{"never ran", false, virtv1.Scheduling, 0, 0},
		{"of a machine", true, virtv1.Succeeded, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			if tc.owner {
				vmi.OwnerReferences = []metav1.OwnerReference{{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Name: "web", UID: "vm", Controller: ptr.To(true)}}
			}
			enter(&vmi.Status, tc.phase, metav1.NewTime(noon.Add(-tc.age)))
			w := newWorld(t, vmi)
			if err := w.client.Delete(t.Context(), w.vmi()); err != nil {
				t.Fatal(err)
			}
			result := w.reconcile()
			if tc.left == 0 {
				if w.vmi() != nil {
					t.Error("it stays")
				}
				return
			}
			if w.vmi() == nil || result.RequeueAfter != tc.left {
				t.Fatalf("looked at again in %v", result.RequeueAfter)
			}
			w.clock.SetTime(noon.Add(tc.left))
			w.reconcile()
			if w.vmi() != nil {
				t.Error("it stays for ever")
			}
		})
	}
}

func TestForeignPodOfTheSameName(t *testing.T) {
	vmi := pending()
	stranger := Pod(vmi, 0, emulation(true))
	stranger.OwnerReferences = nil
	w := newWorld(t, vmi, stranger)
	w.reconcile()
	if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning); c == nil || c.Reason != "FailedCreate" {
		t.Errorf("condition %+v", c)
	}
}

func TestObserveNeverMovesBack(t *testing.T) {
	vmi := pending()
	vmi.Status.Phase, vmi.Status.NodeName = virtv1.Running, "node-1"
	pod := Pod(vmi, 0, emulation(true))
	pod.Spec.NodeName = "node-1"
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	got := observe(vmi, pod, wait{}, metav1.NewTime(noon), emulation(true))
	if diff := cmp.Diff(vmi.Status, got); diff != "" {
		t.Errorf("a running instance changed (-was +is):\n%s", diff)
	}
}

// told are the events since the last call.
func (w *world) told() string {
	var all []string
	for {
		select {
		case e := <-w.events.Events:
			all = append(all, e)
		default:
			return strings.Join(all, "\n")
		}
	}
}

// TestPodOfAnEndedInstance is a launcher pod whose first process waits for a QEMU that will not come.
func TestPodOfAnEndedInstance(t *testing.T) {
	for _, tc := range []struct {
		name    string
		phase   virtv1.VirtualMachineInstancePhase
		keep    map[string]string
		pod     corev1.PodPhase
		deleted bool
	}{
		{"it runs on", virtv1.Failed, nil, corev1.PodRunning, true},
		{"it runs on after an orderly end", virtv1.Succeeded, nil, corev1.PodRunning, true},
		{"it never started", virtv1.Failed, nil, corev1.PodPending, true},
		{"it has ended and holds its log", virtv1.Failed, nil, corev1.PodFailed, false},
		{"someone wants to look into it", virtv1.Failed, map[string]string{virtv1.KeepLauncherAnnotation: "true"}, corev1.PodRunning, false},
		{"nobody wants to look into it", virtv1.Failed, map[string]string{virtv1.KeepLauncherAnnotation: "false"}, corev1.PodRunning, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := pending()
			vmi.Annotations = tc.keep
			w := newWorld(t, vmi)
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) {
				p.Spec.NodeName, p.Finalizers, p.Status.Phase = "node-1", []string{"test/stays"}, corev1.PodPending
			})
			w.reconcile()
			vmi = w.vmi()
			enter(&vmi.Status, tc.phase, metav1.NewTime(noon))
			if err := w.client.Status().Update(t.Context(), vmi); err != nil {
				t.Fatal(err)
			}
			w.updatePod(func(p *corev1.Pod) { p.Status.Phase = tc.pod })
			w.clock.SetTime(noon.Add(10 * time.Second))
			result := w.reconcile()
			if w.pod().DeletionTimestamp != nil {
				t.Fatal("the pod was given no time to end")
			}
			if tc.deleted && result.RequeueAfter != 20*time.Second {
				t.Errorf("looked at again in %v", result.RequeueAfter)
			}
			w.clock.SetTime(noon.Add(30 * time.Second))
			w.reconcile()
			w.reconcile()
			pod := w.pod()
			if deleted := pod.DeletionTimestamp != nil; deleted != tc.deleted {
				t.Errorf("deleted %v", deleted)
			}
			if n := strings.Count(w.told(), "SuccessfulDelete"); tc.deleted && n != 1 || !tc.deleted && n != 0 {
				t.Errorf("%d events", n)
			}
		})
	}
}

// TestPodThatTheCacheDoesNotShow is a launcher pod that lost what the cache finds it by, or that the cache is behind with.
func TestPodThatTheCacheDoesNotShow(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*corev1.Pod)
		// is are the reason and a word of the message that tell it.
		reason, message string
	}{
		{"the cache is behind", func(*corev1.Pod) {}, "", ""},
		{"its label is gone", func(p *corev1.Pod) { delete(p.Labels, virtv1.AppLabel) }, "PodNotOwned", "has lost its label: kubectl label pod -n ns"},
		{"its owner is gone", func(p *corev1.Pod) { p.OwnerReferences = nil }, "PodNotOwned", "not the instance as its owner"},
		{"both are gone", func(p *corev1.Pod) { p.OwnerReferences, p.Labels = nil, nil }, "PodNotOwned", "not the instance as its owner"},
	} {
		running := func(t *testing.T) *world {
			w := newWorld(t, pending())
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
			w.reconcile()
			w.updatePod(tc.change)
			w.told()
			w.blind()
			return w
		}
		t.Run("it runs/"+tc.name, func(t *testing.T) {
			w := running(t)
			for range 2 {
				if result := w.reconcile(); result.RequeueAfter != 10*time.Second {
					t.Errorf("looked at again in %v", result.RequeueAfter)
				}
			}
			s := w.vmi().Status
			if s.Phase != virtv1.Scheduling {
				t.Fatalf("phase %s while the pod may run", s.Phase)
			}
			c := conditionOf(&s, virtv1.VirtualMachineInstanceBlocked)
			if tc.reason == "" && c != nil || tc.reason != "" && (c == nil || c.Reason != tc.reason || !strings.Contains(c.Message, tc.message)) {
				t.Errorf("condition %+v", c)
			}
			if told := w.told(); strings.Count(told, "Warning PodNotOwned") != min(len(tc.reason), 1) {
				t.Errorf("events: %s", told)
			}
			if err := w.client.Delete(t.Context(), w.pod()); err != nil {
				t.Fatal(err)
			}
			w.reconcile()
			if s := w.vmi().Status; s.Phase != virtv1.Failed || s.Reason != "PodGone" || conditionOf(&s, virtv1.VirtualMachineInstanceBlocked) != nil {
				t.Errorf("status %+v", s)
			}
		})
		t.Run("its instance is deleted/"+tc.name, func(t *testing.T) {
			w := running(t)
			w.updatePod(func(p *corev1.Pod) { p.Finalizers = []string{"test/stays"} })
			if err := w.client.Delete(t.Context(), w.vmi()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if result := w.reconcile(); result.RequeueAfter != 10*time.Second {
					t.Errorf("looked at again in %v", result.RequeueAfter)
				}
			}
			if w.vmi() == nil {
				t.Fatal("the instance is gone while its pod may run")
			}
			if w.pod().DeletionTimestamp == nil {
				t.Error("the pod is not deleted")
			}
			w.updatePod(func(p *corev1.Pod) { p.Finalizers = nil })
			w.reconcile()
			if w.vmi() != nil {
				t.Error("the instance stays although its pod is gone")
			}
		})
		t.Run("its create is repeated/"+tc.name, func(t *testing.T) {
			w := newWorld(t, pending())
			w.reconcile()
			w.updatePod(tc.change)
			w.blind()
			result := w.reconcile()
			c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning)
			if tc.reason == "" {
				if c != nil {
					t.Errorf("condition %+v", c)
				}
				return
			}
			if c == nil || c.Reason != "FailedCreate" || !strings.Contains(c.Message, tc.message) || result.RequeueAfter != 10*time.Second {
				t.Errorf("condition %+v, looked at again in %v", c, result.RequeueAfter)
			}
		})
	}
}

func TestDeletionLeavesAStrangersPodAlone(t *testing.T) {
	vmi := pending()
	stranger := Pod(vmi, 0, emulation(true))
	stranger.OwnerReferences, stranger.Labels = nil, nil
	w := newWorld(t, vmi, stranger)
	if err := w.client.Delete(t.Context(), w.vmi()); err != nil {
		t.Fatal(err)
	}
	if result := w.reconcile(); result.RequeueAfter != 10*time.Second {
		t.Errorf("looked at again in %v", result.RequeueAfter)
	}
	if got := w.vmi(); got == nil || conditionOf(&got.Status, virtv1.VirtualMachineInstanceBlocked) == nil {
		t.Fatalf("instance %+v", got)
	}
	if err := w.client.Delete(t.Context(), w.pod()); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if w.vmi() != nil {
		t.Error("the instance stays although nothing has its pod's name")
	}
}

func TestPodWait(t *testing.T) {
	claim := func(p corev1.PersistentVolumeClaimPhase) map[string]*corev1.PersistentVolumeClaim {
		return map[string]*corev1.PersistentVolumeClaim{"data": {Status: corev1.PersistentVolumeClaimStatus{Phase: p}}}
	}
	unschedulable := func(message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: "PodScheduled", Status: "False", Reason: "Unschedulable", Message: message}}
		}
	}
	onNode := func(waiting string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.NodeName = "node-1"
			p.Status.Conditions = []corev1.PodCondition{{Type: "PodScheduled", Status: "True", LastTransitionTime: metav1.NewTime(noon)}}
			if waiting != "none" {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: waiting}}}}
			}
		}
	}
	for _, tc := range []struct {
		name   string
		pod    func(*corev1.Pod)
		claims map[string]*corev1.PersistentVolumeClaim
		// age is how long ago the pod was made and bound.
		age    time.Duration
		reason string
		again  time.Duration
	}{
		{"new", func(*corev1.Pod) {}, nil, time.Hour, "", 0},
		{"its claim is bound", func(*corev1.Pod) {}, claim("Bound"), time.Hour, "", 0},
		{"its claim is being bound", func(*corev1.Pod) {}, claim("Pending"), 4 * time.Second, "", 6 * time.Second},
		{"its claim is not bound for long", func(*corev1.Pod) {}, claim("Pending"), 10 * time.Second, "WaitingForVolumeBinding", 0},
		{"its claim should be bound first", unschedulable("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."), claim("Pending"), 0, "WaitingForVolumeBinding", 0},
		{"its claim waits for a node", unschedulable("0/2 nodes are available: 2 Insufficient memory."), claim("Pending"), time.Hour, "Unschedulable", 0},
		{"its containers are being created", onNode("ContainerCreating"), nil, 59 * time.Second, "", time.Second},
		{"its containers are not created for long", onNode("ContainerCreating"), nil, time.Minute, "ContainersWaiting", 0},
		{"its node does not answer", onNode("none"), nil, time.Minute, "ContainersWaiting", 0},
		{"its image is missing", onNode("ErrImagePull"), nil, 0, "ErrImagePull", 0},
		{"it runs", func(p *corev1.Pod) {
			onNode("none")(p)
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "compute", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}, nil, time.Hour, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pod := Pod(pending(), 0, emulation(true))
			pod.CreationTimestamp = metav1.NewTime(noon)
			tc.pod(pod)
			got := podWait(pod, tc.claims, noon.Add(tc.age))
			if got.reason != tc.reason || got.again != tc.again || (got.message == "") != (got.reason == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestWaitsAreToldInTime(t *testing.T) {
	w := newWorld(t, pending())
	w.reconcile()
	w.updatePod(func(p *corev1.Pod) {
		p.Spec.NodeName = "node-1"
		p.Status.Conditions = []corev1.PodCondition{{Type: "PodScheduled", Status: "True", LastTransitionTime: metav1.NewTime(noon)}}
	})
	if result := w.reconcile(); result.RequeueAfter != time.Minute {
		t.Errorf("looked at again in %v", result.RequeueAfter)
	}
	w.clock.SetTime(noon.Add(time.Minute))
	w.reconcile()
	if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning); c == nil || c.Reason != "ContainersWaiting" {
		t.Errorf("condition %+v", c)
	}
	// virt-handler may be faster than the news of the pod.
	vmi := w.vmi()
	enter(&vmi.Status, virtv1.Running, metav1.NewTime(noon))
	if err := w.client.Status().Update(t.Context(), vmi); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceProvisioning); c != nil {
		t.Errorf("condition of an instance that runs %+v", c)
	}
}

// TestEndedInstanceIsNotHeldUp is an instance that ended although its pod had been held for lost.
func TestEndedInstanceIsNotHeldUp(t *testing.T) {
	vmi := pending()
	vmi.Status.NodeName = "node-1"
	enter(&vmi.Status, virtv1.Failed, metav1.NewTime(noon))
	setWait(&vmi.Status, virtv1.VirtualMachineInstanceBlocked, wait{reason: virtv1.PodTerminatingReason, message: "waiting"}, metav1.NewTime(noon))
	w := newWorld(t, vmi)
	w.reconcile()
	w.reconcile()
	if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceBlocked); c != nil || w.writes != 1 {
		t.Errorf("condition %+v, %d writes", c, w.writes)
	}
}

// TestPodOfALostNode is a pod that its node does not end.
func TestPodOfALostNode(t *testing.T) {
	for _, tc := range []struct {
		name string
		// unwanted says that the instance is deleted; else someone has deleted its pod.
		unwanted bool
	}{{"the instance is deleted", true}, {"the pod was deleted by its node's taint", false}} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, pending())
			w.reconcile()
			w.updatePod(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
			w.reconcile()
			vmi := w.vmi()
			enter(&vmi.Status, virtv1.Running, metav1.NewTime(noon))
			if err := w.client.Status().Update(t.Context(), vmi); err != nil {
				t.Fatal(err)
			}
			if tc.unwanted {
				if err := w.client.Delete(t.Context(), vmi); err != nil {
					t.Fatal(err)
				}
			}
			pod := w.pod()
			deleted(pod, noon)
			w.see(pod)
			grace := time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
			if result := w.reconcile(); result.RequeueAfter != grace+15*time.Second {
				t.Errorf("looked at again in %v", result.RequeueAfter)
			}
			if c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceBlocked); c != nil {
				t.Errorf("told too early: %+v", c)
			}
			w.clock.SetTime(noon.Add(grace + 15*time.Second))
			w.told()
			w.reconcile()
			w.reconcile()
			c := conditionOf(&w.vmi().Status, virtv1.VirtualMachineInstanceBlocked)
			if c == nil || c.Status != corev1.ConditionTrue || c.Reason != "PodTerminating" {
				t.Fatalf("condition %+v", c)
			}
			for _, want := range []string{
				"waiting for pod " + pod.Name + " on node node-1 to end",
				"kubectl taint node node-1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
				"kubectl delete pod -n ns " + pod.Name + " --force",
			} {
				if !strings.Contains(c.Message, want) {
					t.Errorf("message lacks %q: %s", want, c.Message)
				}
			}
			if told := w.told(); strings.Count(told, "Warning PodTerminating waiting for pod") != 1 {
				t.Errorf("events: %s", told)
			}
			if got := w.vmi(); got.Status.Phase != virtv1.Running {
				t.Errorf("phase %s while the guest may run", got.Status.Phase)
			}
		})
	}
}
