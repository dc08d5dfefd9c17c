package replicaset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	key  = types.NamespacedName{Namespace: "ns", Name: "web"}
)

// world is a reconciler over a server of its own.
type world struct {
	t      *testing.T
	server client.WithWatch
	clock  *testclock.FakePassiveClock
	events *events.FakeRecorder
	r      *Reconciler
	// refuse, if set, is what the server says to whoever creates an instance.
	refuse error
	// blind hides all instances from the cache.
	blind bool
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := virtv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: testclock.NewFakePassiveClock(noon), events: events.NewFakeRecorder(1000)}
	made := 0
	w.server = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&virtv1.VirtualMachineInstanceReplicaSet{}, &virtv1.VirtualMachineInstance{}).
		WithIndex(&virtv1.VirtualMachineInstance{}, instanceBySet, ownerSet).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if w.refuse != nil {
					return w.refuse
				}
				made++
				o.SetUID(types.UID(fmt.Sprintf("made-%d", made)))
				o.SetCreationTimestamp(metav1.NewTime(w.clock.Now()))
				o.SetFinalizers([]string{virtv1.VirtualMachineInstanceFinalizer})
				return c.Create(ctx, o, opts...)
			},
		}).Build()
	cache := interceptor.NewClient(w.server, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if _, ok := l.(*virtv1.VirtualMachineInstanceList); ok && w.blind {
				return nil
			}
			return c.List(ctx, l, opts...)
		},
	})
	w.r = &Reconciler{Client: cache, Live: w.server, Recorder: w.events, Clock: w.clock}
	return w
}

func newSet(n int32) *virtv1.VirtualMachineInstanceReplicaSet {
	return &virtv1.VirtualMachineInstanceReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "set"},
		Spec: virtv1.VirtualMachineInstanceReplicaSetSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: &virtv1.VirtualMachineInstanceTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a": "b"}},
				Spec:       virtv1.VirtualMachineInstanceSpec{Hostname: "guest"},
			},
		},
	}
}

func (w *world) try() (ctrl.Result, error) {
	return w.r.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: key})
}

func (w *world) reconcile() ctrl.Result {
	w.t.Helper()
	result, err := w.try()
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) set() *virtv1.VirtualMachineInstanceReplicaSet {
	w.t.Helper()
	var set virtv1.VirtualMachineInstanceReplicaSet
	if err := w.server.Get(w.t.Context(), key, &set); err != nil {
		w.t.Fatal(err)
	}
	return &set
}

func (w *world) change(f func(*virtv1.VirtualMachineInstanceReplicaSet)) {
	w.t.Helper()
	set := w.set()
	f(set)
	if err := w.server.Update(w.t.Context(), set); err != nil {
		w.t.Fatal(err)
	}
}

// instances are those that are not being deleted.
func (w *world) instances() []virtv1.VirtualMachineInstance {
	w.t.Helper()
	var list virtv1.VirtualMachineInstanceList
	if err := w.server.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	var out []virtv1.VirtualMachineInstance
	for _, vmi := range list.Items {
		if vmi.DeletionTimestamp == nil {
			out = append(out, vmi)
		}
	}
	return out
}

func (w *world) report(vmi virtv1.VirtualMachineInstance, phase virtv1.VirtualMachineInstancePhase, ready bool) {
	w.t.Helper()
	vmi.Status.Phase = phase
	vmi.Status.PhaseTransitionTimestamps = append(vmi.Status.PhaseTransitionTimestamps,
		virtv1.VirtualMachineInstancePhaseTransitionTimestamp{Phase: phase, PhaseTransitionTimestamp: metav1.NewTime(w.clock.Now())})
	vmi.Status.Conditions = nil
	if ready {
		vmi.Status.Conditions = []virtv1.VirtualMachineInstanceCondition{{Type: virtv1.VirtualMachineInstanceReady, Status: corev1.ConditionTrue}}
	}
	if err := w.server.Status().Update(w.t.Context(), &vmi); err != nil {
		w.t.Fatal(err)
	}
}

// told are the events since the last call.
func (w *world) told() string {
	var out []string
	for {
		select {
		case e := <-w.events.Events:
			out = append(out, e)
		default:
			return strings.Join(out, "\n")
		}
	}
}

func namesOf(instances []virtv1.VirtualMachineInstance) []string {
	var out []string
	for i := range instances {
		out = append(out, instances[i].Name)
	}
	return out
}

func TestScale(t *testing.T) {
	w := newWorld(t, newSet(3))
	w.reconcile()
	got := w.instances()
	if len(got) != 3 {
		t.Fatalf("%d instances, want 3", len(got))
	}
	for _, vmi := range got {
		if !strings.HasPrefix(vmi.Name, "web-") || vmi.Labels["app"] != "web" || vmi.Annotations["a"] != "b" || vmi.Spec.Hostname != "guest" || !metav1.IsControlledBy(&vmi, w.set()) {
			t.Errorf("instance %+v", vmi.ObjectMeta)
		}
	}
	if told := w.told(); strings.Count(told, "Normal SuccessfulCreate Started the virtual machine by creating the new virtual machine instance web-") != 3 {
		t.Errorf("events:\n%s", told)
	}
	want := virtv1.VirtualMachineInstanceReplicaSetStatus{Replicas: 3, LabelSelector: "app=web"}
	if diff := cmp.Diff(want, w.set().Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	w.reconcile()
	if n := len(w.instances()); n != 3 {
		t.Errorf("%d instances after another look", n)
	}

	// One runs and is ready, one runs, one has not begun: they go in the opposite order.
	w.report(got[0], virtv1.Running, true)
	w.report(got[1], virtv1.Running, false)
	w.reconcile()
	if s := w.set().Status; s.ReadyReplicas != 1 || s.Replicas != 3 {
		t.Errorf("status %+v", s)
	}
	for left := 2; left >= 0; left-- {
		w.change(func(s *virtv1.VirtualMachineInstanceReplicaSet) { s.Spec.Replicas = ptr.To(int32(left)) })
		w.reconcile()
		if diff := cmp.Diff(namesOf(got[:left]), namesOf(w.instances())); diff != "" {
			t.Errorf("with %d replicas (-want +got):\n%s", left, diff)
		}
	}
	if s := w.set().Status; s.Replicas != 0 || s.ReadyReplicas != 0 {
		t.Errorf("status %+v", s)
	}
	if told := w.told(); strings.Count(told, "SuccessfulDelete Stopped the virtual machine by deleting") != 3 {
		t.Errorf("events:\n%s", told)
	}
}

// TestAnOldCache shows the controller nothing of what it has made: it must not make more.
func TestAnOldCache(t *testing.T) {
	w := newWorld(t, newSet(2))
	w.reconcile()
	w.blind = true
	w.reconcile()
	if got := w.instances(); len(got) != 2 {
		t.Errorf("instances %v", namesOf(got))
	}
}

func TestPaused(t *testing.T) {
	set := newSet(1)
	set.Spec.Paused = ptr.To(true)
	w := newWorld(t, set)
	w.reconcile()
	if got := w.instances(); len(got) != 0 {
		t.Errorf("a paused set made %v", namesOf(got))
	}
	c := w.set().Status.Conditions
	if len(c) != 1 || c[0].Type != virtv1.VirtualMachineInstanceReplicaSetReplicaPaused || c[0].Status != "True" || c[0].Reason != "Paused" {
		t.Errorf("conditions %+v", c)
	}
	w.change(func(s *virtv1.VirtualMachineInstanceReplicaSet) { s.Spec.Paused = nil })
	w.reconcile()
	if got := w.instances(); len(got) != 1 || len(w.set().Status.Conditions) != 0 {
		t.Errorf("instances %v, conditions %+v", namesOf(got), w.set().Status.Conditions)
	}
	if told := w.told(); !strings.Contains(told, "Normal SuccessfulPaused Paused") || !strings.Contains(told, "Normal SuccessfulResumed Resumed") {
		t.Errorf("events:\n%s", told)
	}
}

func TestFailure(t *testing.T) {
	w := newWorld(t, newSet(2))
	w.refuse = errors.New("the quota is used up")
	if _, err := w.try(); err == nil || !strings.Contains(err.Error(), "the quota is used up") {
		t.Errorf("error %v", err)
	}
	c := w.set().Status.Conditions
	if len(c) != 1 || c[0].Type != virtv1.VirtualMachineInstanceReplicaSetReplicaFailure || c[0].Reason != "FailedCreate" || !strings.Contains(c[0].Message, "the quota is used up") {
		t.Errorf("conditions %+v", c)
	}
	if told := w.told(); !strings.Contains(told, "Warning FailedCreate Error creating virtual machine instance: the quota is used up") {
		t.Errorf("events:\n%s", told)
	}
	w.refuse = nil
	w.reconcile()
	if got := w.instances(); len(got) != 2 || len(w.set().Status.Conditions) != 0 {
		t.Errorf("instances %v, conditions %+v", namesOf(got), w.set().Status.Conditions)
	}
}

// TestReplacement replaces an instance that has ended: at once if it has lived for a while, else after a pause.
func TestReplacement(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lived time.Duration
		phase virtv1.VirtualMachineInstancePhase
		wait  time.Duration
	}{
		{"succeeded at once", time.Second, virtv1.Succeeded, 0},
		{"failed after a while", time.Hour, virtv1.Failed, 0},
		{"failed at once", time.Second, virtv1.Failed, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, newSet(1))
			w.reconcile()
			first := w.instances()[0]
			w.clock.SetTime(noon.Add(tc.lived))
			w.report(first, tc.phase, false)
			result := w.reconcile()
			if result.RequeueAfter != tc.wait {
				t.Errorf("again after %s, want %s", result.RequeueAfter, tc.wait)
			}
			if tc.wait > 0 {
				if got := namesOf(w.instances()); len(got) != 1 || got[0] != first.Name {
					t.Errorf("replaced at once by %v", got)
				}
				w.clock.SetTime(noon.Add(tc.lived + tc.wait))
				w.reconcile()
			}
			if got := namesOf(w.instances()); len(got) != 1 || got[0] == first.Name {
				t.Errorf("instances %v in the place of %s", got, first.Name)
			}
		})
	}
}

// TestMembership takes in what is selected and lets go what is not.
func TestMembership(t *testing.T) {
	orphan := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: "orphan", Namespace: "ns", UID: "o", Labels: map[string]string{"app": "web"}}}
	owned := orphan.DeepCopy()
	owned.Name, owned.UID = "others", "x"
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Name: "others", UID: "vm", Controller: ptr.To(true)}}
	w := newWorld(t, newSet(2), orphan, owned)
	w.reconcile()
	byName := map[string]virtv1.VirtualMachineInstance{}
	for _, vmi := range w.instances() {
		byName[vmi.Name] = vmi
	}
	taken, others := byName["orphan"], byName["others"]
	if len(byName) != 3 || !metav1.IsControlledBy(&taken, w.set()) || metav1.GetControllerOf(&others).UID != "vm" {
		t.Errorf("instances %v, owner of the orphan %+v", byName, taken.OwnerReferences)
	}

	taken.Labels = map[string]string{"app": "debug"}
	if err := w.server.Update(t.Context(), &taken); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if err := w.server.Get(t.Context(), client.ObjectKeyFromObject(&taken), &taken); err != nil {
		t.Fatal(err)
	}
	if len(taken.OwnerReferences) != 0 || taken.DeletionTimestamp != nil {
		t.Errorf("the instance that is selected no more: %+v", taken.ObjectMeta)
	}
	if got := w.instances(); len(got) != 4 {
		t.Errorf("instances %v, want two of the set and two of others", namesOf(got))
	}
}

// TestDeletion leaves the instances of a deleted set to the garbage collector, which knows them by their owner.
func TestDeletion(t *testing.T) {
	set := newSet(1)
	set.Finalizers = []string{metav1.FinalizerDeleteDependents}
	w := newWorld(t, set)
	w.reconcile()
	if err := w.server.Delete(t.Context(), w.set()); err != nil {
		t.Fatal(err)
	}
	vmi := w.instances()[0]
	if !*vmi.OwnerReferences[0].BlockOwnerDeletion {
		t.Error("the set could go before its instance")
	}
	if err := w.server.Delete(t.Context(), &vmi); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if got := w.instances(); len(got) != 0 {
		t.Errorf("a deleted set made %v", namesOf(got))
	}
}

// TestStrangersName leaves an instance alone that has a name which the set would give.
func TestStrangersName(t *testing.T) {
	set := newSet(1)
	name := names(set, nil)()
	w := newWorld(t, set, &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: "s"}})
	w.reconcile()
	if got := w.instances(); len(got) != 2 || w.set().Status.Replicas != 1 {
		t.Errorf("instances %v, status %+v", namesOf(got), w.set().Status)
	}
}

func TestNames(t *testing.T) {
	long := newSet(1)
	long.Name = strings.Repeat("a", 253)
	given := newSet(1)
	given.Spec.Template.ObjectMeta.GenerateName = "guest-"
	for _, set := range []*virtv1.VirtualMachineInstanceReplicaSet{newSet(1), long, given} {
		name := names(set, nil)()
		if len(name) > 253 || !strings.HasPrefix(name, base(set)) || strings.Contains(name, "--") {
			t.Errorf("name %q", name)
		}
	}
}

func TestWouldTake(t *testing.T) {
	other := newSet(1)
	other.Name, other.Spec.Selector.MatchLabels = "other", map[string]string{"app": "other"}
	w := newWorld(t, newSet(1), other)
	vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "ns", Labels: map[string]string{"app": "web"}}}
	if got := w.r.wouldTake(t.Context(), vmi); len(got) != 1 || got[0].NamespacedName != key {
		t.Errorf("sets %v", got)
	}
	vmi.OwnerReferences = []metav1.OwnerReference{owner(other)}
	if got := w.r.wouldTake(t.Context(), vmi); len(got) != 0 {
		t.Errorf("sets %v for an instance that has an owner", got)
	}
}
