package vm

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

var key = types.NamespacedName{Namespace: "ns", Name: "web"}

// world is a reconciler over a server of its own.
type world struct {
	t      *testing.T
	server client.WithWatch
	clock  *testclock.FakePassiveClock
	events *events.FakeRecorder
	r      *Reconciler
	// blind hides instances from the cache.
	blind bool
	// podSeen changes the pods that are read past the cache.
	podSeen func(*corev1.Pod)
	// writes counts what is written of the machine's status.
	writes int
	// conflicts makes as many of these writes conflict.
	conflicts int
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, virtv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, clock: testclock.NewFakePassiveClock(noon), events: events.NewFakeRecorder(100)}
	created := 0
	w.server = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&virtv1.VirtualMachine{}, machineByTemplate, templatesOf).
		WithStatusSubresource(&virtv1.VirtualMachine{}, &virtv1.VirtualMachineInstance{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if o.GetUID() == "" {
					created++
					o.SetUID(types.UID("made-" + string(rune('0'+created))))
				}
				if _, ok := o.(*virtv1.VirtualMachineInstance); ok {
					o.SetFinalizers([]string{virtv1.VirtualMachineInstanceFinalizer})
				}
				return c.Create(ctx, o, opts...)
			},
		}).Build()
	cache := interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*virtv1.VirtualMachineInstance); ok && w.blind {
				return apierrors.NewNotFound(virtv1.SchemeGroupVersion.WithResource("virtualmachineinstances").GroupResource(), k.Name)
			}
			return c.Get(ctx, k, o, opts...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			w.writes++
			if w.conflicts > 0 {
				w.conflicts--
				return apierrors.NewConflict(virtv1.SchemeGroupVersion.WithResource("virtualmachines").GroupResource(), o.GetName(), nil)
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	})
	live := interceptor.NewClient(w.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, k, o, opts...)
			if pod, ok := o.(*corev1.Pod); ok && err == nil && w.podSeen != nil {
				w.podSeen(pod)
			}
			return err
		},
	})
	w.r = &Reconciler{Client: cache, Live: live, Recorder: w.events, Clock: w.clock}
	return w
}

func (w *world) reconcile() ctrl.Result {
	w.t.Helper()
	result, err := w.r.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) vm() *virtv1.VirtualMachine {
	w.t.Helper()
	var vm virtv1.VirtualMachine
	if err := w.server.Get(w.t.Context(), key, &vm); err != nil {
		w.t.Fatal(err)
	}
	return &vm
}

func (w *world) vmi() *virtv1.VirtualMachineInstance {
	w.t.Helper()
	var vmi virtv1.VirtualMachineInstance
	switch err := w.server.Get(w.t.Context(), key, &vmi); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		w.t.Fatal(err)
	}
	return &vmi
}

// report writes an instance's status, as virt-handler does.
func (w *world) report(change func(*virtv1.VirtualMachineInstanceStatus)) {
	w.t.Helper()
	vmi := w.vmi()
	change(&vmi.Status)
	if err := w.server.Status().Update(w.t.Context(), vmi); err != nil {
		w.t.Fatal(err)
	}
}

// letGo removes the finalizer of an instance, as the other controller does once the pod is gone.
func (w *world) letGo() {
	w.t.Helper()
	vmi := w.vmi()
	vmi.Finalizers = nil
	if err := w.server.Update(w.t.Context(), vmi); err != nil {
		w.t.Fatal(err)
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

func machine(strategy virtv1.VirtualMachineRunStrategy) *virtv1.VirtualMachine {
	return &virtv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: "vm", Generation: 1},
		Spec: virtv1.VirtualMachineSpec{RunStrategy: strategy, Template: &virtv1.VirtualMachineInstanceTemplateSpec{}}}
}

func conditionOf(vm *virtv1.VirtualMachine, t virtv1.VirtualMachineConditionType) virtv1.VirtualMachineCondition {
	for _, c := range vm.Status.Conditions {
		if c.Type == t {
			return c
		}
	}
	return virtv1.VirtualMachineCondition{}
}

// refuse gives an instance the status that virt-handler gives it when its guest can never start.
func refuse(s *virtv1.VirtualMachineInstanceStatus) {
	s.Phase, s.Reason = virtv1.Failed, "DiskInvalid"
	s.Conditions = []virtv1.VirtualMachineInstanceCondition{
		{Type: virtv1.VirtualMachineInstanceSynchronized, Status: corev1.ConditionFalse, Reason: "DiskInvalid", Message: "disk root: image has a backing file"},
		{Type: virtv1.VirtualMachineInstanceReady, Status: corev1.ConditionFalse, Reason: virtv1.GuestNotRunningReason, Message: "the guest could not be started"},
	}
}

func TestFailureOutlivesItsInstance(t *testing.T) {
	for _, strategy := range []virtv1.VirtualMachineRunStrategy{virtv1.RunStrategyAlways, virtv1.RunStrategyRerunOnFailure, virtv1.RunStrategyManual} {
		t.Run(string(strategy), func(t *testing.T) {
			vm := machine(strategy)
			vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{startReq}
			w := newWorld(t, vm)
			w.reconcile()
			w.report(refuse)
			w.told()
			w.conflicts = 1
			w.reconcile()
			if w.vmi().DeletionTimestamp != nil {
				t.Fatal("the instance was deleted before its failure was put down")
			}
			w.reconcile()
			if w.vmi().DeletionTimestamp == nil {
				t.Fatal("the failed instance stays")
			}
			told := w.told()
			failed := "Warning InstanceFailed The virtual machine instance has failed 1 times in a row, not to be started again before 2026-01-02T12:00:10Z: DiskInvalid: disk root: image has a backing file"
			if strategy == virtv1.RunStrategyManual {
				failed = "Warning InstanceFailed The virtual machine instance has failed: DiskInvalid: disk root: image has a backing file"
			}
			for _, want := range []string{
				failed,
				"Normal SuccessfulDelete Stopped the virtual machine by deleting the virtual machine instance web: it has failed: DiskInvalid: disk root: image has a backing file",
			} {
				if !strings.Contains(told, want) {
					t.Errorf("events lack %q:\n%s", want, told)
				}
			}
			w.letGo()
			w.reconcile()
			w.reconcile()
			if told := w.told(); told != "" {
				t.Errorf("told again: %s", told)
			}
			got := w.vm()
			if c := conditionOf(got, virtv1.VirtualMachineFailure); c.Status != corev1.ConditionTrue || c.Reason != "DiskInvalid" || c.Message != "disk root: image has a backing file" {
				t.Errorf("failure %+v", c)
			}
			want := virtv1.VirtualMachineStatusCrashLoopBackOff
			if strategy == virtv1.RunStrategyManual {
				want = virtv1.VirtualMachineStatusStopped
			}
			if got.Status.PrintableStatus != want {
				t.Errorf("status %s, want %s", got.Status.PrintableStatus, want)
			}
		})
	}
}

func TestFailureEndsWithAStableRunOrAStop(t *testing.T) {
	failed := func(t *testing.T) *world {
		w := newWorld(t, machine(virtv1.RunStrategyAlways))
		w.reconcile()
		w.report(refuse)
		w.reconcile()
		w.letGo()
		w.reconcile()
		return w
	}
	t.Run("stable", func(t *testing.T) {
		w := failed(t)
		w.clock.SetTime(noon.Add(10 * time.Second))
		w.reconcile()
		w.report(func(s *virtv1.VirtualMachineInstanceStatus) { *s = inst(virtv1.Running, time.Second).Status })
		if got := w.reconcile(); got.RequeueAfter != 49*time.Second {
			t.Errorf("looked at again in %v", got.RequeueAfter)
		}
		// It counts until the next instance has run for long, but of a machine that runs it is not told.
		if got := w.vm(); got.Status.StartFailure == nil || conditionOf(got, virtv1.VirtualMachineFailure).Type != "" {
			t.Errorf("while the next instance runs: %+v", got.Status)
		}
		w.clock.SetTime(noon.Add(time.Minute))
		w.reconcile()
		if got := w.vm(); got.Status.StartFailure != nil || conditionOf(got, virtv1.VirtualMachineFailure).Type != "" {
			t.Errorf("failure stays: %+v", got.Status)
		}
	})
	t.Run("halted", func(t *testing.T) {
		w := failed(t)
		vm := w.vm()
		vm.Spec.RunStrategy = virtv1.RunStrategyHalted
		if err := w.server.Update(t.Context(), vm); err != nil {
			t.Fatal(err)
		}
		w.reconcile()
		if got := w.vm(); got.Status.StartFailure != nil || conditionOf(got, virtv1.VirtualMachineFailure).Type != "" {
			t.Errorf("failure stays: %+v", got.Status)
		}
	})
}

func TestNotReadyTellsWhatTheInstanceFailsAt(t *testing.T) {
	w := newWorld(t, machine(virtv1.RunStrategyAlways))
	w.reconcile()
	w.report(func(s *virtv1.VirtualMachineInstanceStatus) {
		s.Phase = virtv1.Scheduled
		s.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstanceSynchronized, Status: corev1.ConditionFalse, Reason: "SecretMissing", Message: "secret user does not exist"}}
	})
	w.reconcile()
	vm := w.vm()
	if c := conditionOf(vm, virtv1.VirtualMachineReady); c.Status != corev1.ConditionFalse || c.Reason != "SecretMissing" || c.Message != "secret user does not exist" {
		t.Errorf("ready %+v", c)
	}
	if vm.Status.PrintableStatus != virtv1.VirtualMachineStatusStarting {
		t.Errorf("status %s", vm.Status.PrintableStatus)
	}
	w.report(func(s *virtv1.VirtualMachineInstanceStatus) {
		s.Phase = virtv1.Running
		s.Conditions = append(s.Conditions, virtv1.VirtualMachineInstanceCondition{Type: virtv1.VirtualMachineInstanceReady, Status: corev1.ConditionTrue})
	})
	w.reconcile()
	if c := conditionOf(w.vm(), virtv1.VirtualMachineReady); c.Status != corev1.ConditionTrue || c.Reason != "" {
		t.Errorf("ready %+v", c)
	}
}

func TestBlockedInstance(t *testing.T) {
	for _, tc := range []struct {
		name   string
		reason string
		ready  corev1.ConditionStatus
		want   corev1.ConditionStatus
		tells  string
	}{
		{"its node is lost", virtv1.PodTerminatingReason, corev1.ConditionTrue, corev1.ConditionFalse, virtv1.PodTerminatingReason},
		{"its node is lost and its guest has ended", virtv1.PodTerminatingReason, corev1.ConditionFalse, corev1.ConditionFalse, virtv1.PodTerminatingReason},
		{"its pod has lost a label", "PodNotOwned", corev1.ConditionTrue, corev1.ConditionTrue, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, machine(virtv1.RunStrategyAlways))
			w.reconcile()
			w.report(func(s *virtv1.VirtualMachineInstanceStatus) {
				s.Phase = virtv1.Running
				s.Conditions = []virtv1.VirtualMachineInstanceCondition{
					{Type: "Blocked", Status: corev1.ConditionTrue, Reason: tc.reason, Message: "waiting for pod p on node n to end"},
					{Type: virtv1.VirtualMachineInstanceReady, Status: tc.ready},
				}
			})
			w.reconcile()
			vm := w.vm()
			if c := conditionOf(vm, virtv1.VirtualMachineReady); c.Status != tc.want || c.Reason != tc.tells || vm.Status.Ready != (tc.want == corev1.ConditionTrue) {
				t.Errorf("ready %+v", c)
			}
			if c := conditionOf(vm, "Blocked"); c.Reason != tc.reason {
				t.Errorf("blocked %+v", c)
			}
		})
	}
}

// TestInstanceOfALostNode follows an instance of which nobody hears; where it was seen last it still counts as running.
func TestInstanceOfALostNode(t *testing.T) {
	w := newWorld(t, machine(virtv1.RunStrategyAlways))
	w.reconcile()
	ready := func(status corev1.ConditionStatus, reason, message string) {
		w.report(func(s *virtv1.VirtualMachineInstanceStatus) {
			s.Phase = virtv1.Running
			s.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstanceReady, Status: status, Reason: reason, Message: message}}
		})
		w.reconcile()
	}
	ready(corev1.ConditionTrue, "", "")
	ready(corev1.ConditionFalse, "NodeUnreachable", "node n does not answer")
	vm := w.vm()
	if c := conditionOf(vm, virtv1.VirtualMachineReady); c.Status != corev1.ConditionFalse || c.Reason != "NodeUnreachable" || c.Message != "node n does not answer" {
		t.Errorf("ready %+v", c)
	}
	if vm.Status.Ready || !vm.Status.Created || vm.Status.PrintableStatus != virtv1.VirtualMachineStatusRunning {
		t.Errorf("ready %v, created %v, status %s", vm.Status.Ready, vm.Status.Created, vm.Status.PrintableStatus)
	}
	ready(corev1.ConditionTrue, "", "")
	vm = w.vm()
	if c := conditionOf(vm, virtv1.VirtualMachineReady); c.Status != corev1.ConditionTrue || c.Reason != "" || !vm.Status.Ready {
		t.Errorf("ready %+v once the agent is back", c)
	}
}

func TestForeignInstanceHoldsTheMachineUp(t *testing.T) {
	vm := machine(virtv1.RunStrategyManual)
	vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{pausedReq}
	w := newWorld(t, vm, &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "stranger"}})
	w.reconcile()
	w.reconcile()
	got := w.vm()
	if c := conditionOf(got, virtv1.VirtualMachineFailure); c.Reason != "InstanceNotOwned" {
		t.Errorf("failure %+v", c)
	}
	if got.Status.PrintableStatus != virtv1.VirtualMachineStatusStopped || got.Status.Created {
		t.Errorf("status %s, created %v", got.Status.PrintableStatus, got.Status.Created)
	}
	want := "Warning InstanceNotOwned Could not create the virtual machine instance: a VirtualMachineInstance named web exists that is not this machine's: delete it or rename the machine"
	if told := w.told(); told != want {
		t.Errorf("events:\n%s\nwant:\n%s", told, want)
	}
	if len(got.Status.StateChangeRequests) != 1 {
		t.Fatalf("the start request is lost: %v", got.Status.StateChangeRequests)
	}
	if err := w.server.Delete(t.Context(), w.vmi()); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	vmi := w.vmi()
	if vmi == nil || !metav1.IsControlledBy(vmi, got) || vmi.Spec.StartStrategy == nil || *vmi.Spec.StartStrategy != virtv1.StartStrategyPaused {
		t.Fatalf("instance %+v", vmi)
	}
	got = w.vm()
	if len(got.Status.StateChangeRequests) != 0 || conditionOf(got, virtv1.VirtualMachineFailure).Type != "" {
		t.Errorf("status %+v", got.Status)
	}
}

func TestRefusedInstanceKeepsTheRequest(t *testing.T) {
	vm := machine(virtv1.RunStrategyManual)
	vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{startReq}
	w := newWorld(t, vm)
	refused := true
	w.r.Client = interceptor.NewClient(w.server, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if refused {
				return apierrors.NewForbidden(virtv1.SchemeGroupVersion.WithResource("virtualmachineinstances").GroupResource(), o.GetName(), nil)
			}
			return c.Create(ctx, o, opts...)
		},
	})
	for range 2 {
		if _, err := w.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err == nil {
			t.Fatal("not tried again")
		}
	}
	got := w.vm()
	if got.Status.PrintableStatus != virtv1.VirtualMachineStatusStopped {
		t.Errorf("status %s of a machine whose instance is refused", got.Status.PrintableStatus)
	}
	if c := conditionOf(got, virtv1.VirtualMachineFailure); c.Reason != "FailedCreate" || len(got.Status.StateChangeRequests) != 1 {
		t.Errorf("failure %+v, requests %v", c, got.Status.StateChangeRequests)
	}
	if told := w.told(); strings.Count(told, "FailedCreate") != 1 {
		t.Errorf("events:\n%s", told)
	}
	refused = false
	w.reconcile()
	if got := w.vm(); w.vmi() == nil || len(got.Status.StateChangeRequests) != 0 || conditionOf(got, virtv1.VirtualMachineFailure).Type != "" {
		t.Errorf("status %+v", got.Status)
	}
}

// TestStaleCache is a cache that does not show yet what the controller itself has made.
func TestStaleCache(t *testing.T) {
	for _, tc := range []struct {
		name string
		// after changes what the first reconcile has left.
		after func(*world, *virtv1.VirtualMachine)
	}{
		{"after a start", func(*world, *virtv1.VirtualMachine) {}},
		{"after a start whose status was not written", func(_ *world, vm *virtv1.VirtualMachine) { vm.Status.Created = false }},
	} {
		for _, strategy := range []virtv1.VirtualMachineRunStrategy{virtv1.RunStrategyAlways, virtv1.RunStrategyManual} {
			t.Run(tc.name+"/"+string(strategy), func(t *testing.T) {
				vm := machine(strategy)
				vm.Status.StateChangeRequests = []virtv1.VirtualMachineStateChangeRequest{startReq}
				w := newWorld(t, vm)
				w.blind = true
				w.reconcile()
				before := w.vm()
				tc.after(w, before)
				if !before.Status.Created {
					before.Status.StateChangeRequests = vm.Status.StateChangeRequests
					if err := w.server.Status().Update(t.Context(), before); err != nil {
						t.Fatal(err)
					}
				}
				w.writes = 0
				result := w.reconcile()
				if got := w.vm(); w.writes != 0 || got.Status.PrintableStatus != virtv1.VirtualMachineStatusStarting {
					t.Errorf("%d writes, status %s, created %v", w.writes, got.Status.PrintableStatus, got.Status.Created)
				}
				if !before.Status.Created && result.RequeueAfter != time.Second {
					t.Errorf("looked at again in %v", result.RequeueAfter)
				}
				w.blind = false
				w.reconcile()
				if got := w.vm(); !got.Status.Created || len(got.Status.StateChangeRequests) != 0 {
					t.Errorf("status %+v", got.Status)
				}
			})
		}
	}
	for _, written := range []bool{true, false} {
		t.Run(fmt.Sprintf("deletion/start written in the status %v", written), func(t *testing.T) {
			vm := machine(virtv1.RunStrategyAlways)
			vm.Finalizers = []string{virtv1.VirtualMachineControllerFinalizer}
			w := newWorld(t, vm)
			w.reconcile()
			before := w.vm()
			if !written {
				before.Status = virtv1.VirtualMachineStatus{}
				if err := w.server.Status().Update(t.Context(), before); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.server.Delete(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			w.blind = true
			w.reconcile()
			if got := w.vm(); got.Status.PrintableStatus != virtv1.VirtualMachineStatusTerminating || w.vmi().DeletionTimestamp == nil {
				t.Errorf("status %s", got.Status.PrintableStatus)
			}
		})
	}
}

// TestInstancesBringTheirMachine tries the watch: an instance brings the machine of its name, whoever owns it.
func TestInstancesBringTheirMachine(t *testing.T) {
	foreign := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "stranger"}}
	w := newWorld(t, machine(virtv1.RunStrategyAlways), foreign)
	instances := tellingInformer{controllertest.NewFakeInformer(controllertest.Synced), make(chan toolscache.ResourceEventHandler, 10)}
	informers := &informertest.FakeInformers{Scheme: w.server.Scheme(), InformersByGVK: map[schema.GroupVersionKind]toolscache.SharedIndexInformer{
		virtv1.SchemeGroupVersion.WithKind("VirtualMachine"):         controllertest.NewFakeInformer(controllertest.Synced),
		virtv1.SchemeGroupVersion.WithKind("VirtualMachineInstance"): instances,
	}}
	mgr, err := ctrl.NewManager(&rest.Config{}, ctrl.Options{
		Scheme: w.server.Scheme(), Logger: klog.Background(), Metrics: metricsserver.Options{BindAddress: "0"},
		NewCache:       func(*rest.Config, cache.Options) (cache.Cache, error) { return informers, nil },
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return w.server.RESTMapper(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 10)
	w.r.Client = interceptor.NewClient(w.server, interceptor.Funcs{
		SubResourceUpdate: func(_ context.Context, _ client.Client, _ string, o client.Object, _ ...client.SubResourceUpdateOption) error {
			seen <- o.GetName()
			return nil
		},
	})
	if err := w.r.SetupWithManager(mgr, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	deadline := time.After(30 * time.Second)
	select {
	case h := <-instances.handlers:
		h.OnDelete(foreign)
	case <-deadline:
		t.Fatal("nobody listens to instances")
	}
	select {
	case <-seen:
	case <-deadline:
		t.Fatal("the end of a stranger's instance did not bring the machine")
	}
}

// tellingInformer hands out those who listen to it.
type tellingInformer struct {
	*controllertest.FakeInformer
	handlers chan toolscache.ResourceEventHandler
}

func (i tellingInformer) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, o toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	i.handlers <- h
	return i.FakeInformer.AddEventHandlerWithOptions(h, o)
}
