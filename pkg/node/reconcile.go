package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

const (
	// defaultGrace is the time that a guest has to power down when its spec names none.
	defaultGrace = 30 * time.Second
	// killSlack is the time beyond the grace period after which the agent kills, although the launcher should have.
	killSlack = 15 * time.Second
)

var everything = labels.Everything()

// errSoon asks for another try with back-off, without a word in the log.
var errSoon = errors.New("again soon")

// reconcile looks at one instance and does the next thing for it. It never waits for a launcher.
func (a *Agent) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	vmi, err := a.instances.VirtualMachineInstances(key.Namespace).Get(key.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("getting instance: %w", err)
	}
	if err != nil || vmi.Status.NodeName != a.options.Node {
		a.forget(key)
		return 0, nil
	}
	uid := launcherPod(vmi, a.options.Node)
	if final(vmi.Status.Phase) {
		return a.finish(ctx, key, vmi, uid), nil
	}
	if uid == "" {
		a.drop(key)
		return 0, nil // virt-controller will name the pod
	}
	if err := a.watch(key, uid); err != nil {
		return 0, err
	}
	s, err := a.session(ctx, key, vmi, uid)
	if err != nil {
		return a.launcherAway(ctx, key, vmi, err)
	}
	v := s.view()
	if v.event == nil && v.over == nil {
		return 0, nil // its first word will bring us back
	}
	if v.over == nil {
		a.setAway(key, false)
	}
	if v.event == nil {
		a.drop(key)
		return a.launcherAway(ctx, key, vmi, v.over)
	}
	a.announceIncidents(key, vmi, v.event)
	// What a launcher said last counts, also when the connection has broken since: the end of a guest is often both.
	if err := a.writeStatus(ctx, key, vmi, v); err != nil {
		if vmi.DeletionTimestamp == nil || v.over != nil {
			return 0, err
		}
		// The end of a guest that is not wanted does not wait for the API.
		return a.act(ctx, s, vmi, v), err
	}
	if v.over != nil && !ended(v.event) {
		a.drop(key)
		return a.launcherAway(ctx, key, vmi, v.over)
	}
	return a.act(ctx, s, vmi, v), nil
}

// act does the next thing with the launcher and says when to look again.
func (a *Agent) act(ctx context.Context, s *session, vmi *virtv1.VirtualMachineInstance, v view) time.Duration {
	now := a.clock.Now()
	failed := v.start.failure
	switch {
	case ended(v.event):
		return 0
	case vmi.DeletionTimestamp != nil && !lives(v.event):
		return a.kill(ctx, s, v, now)
	case vmi.DeletionTimestamp != nil:
		return a.shutdown(ctx, s, vmi, v, now)
	case v.busy[starting], v.event.GetState() == launcher.DomainState_DOMAIN_STATE_STOPPING:
		return 0
	case vmi.Status.Phase == virtv1.Running && !lives(v.event):
		return 0 // a guest that ran is not started again under the same name
	case failed == nil && v.start.generation == vmi.Generation && lives(v.event):
		return 0
	case failed != nil && failed.final && v.start.tried == vmi.Generation:
		return 0 // only another spec can help
	case failed != nil && now.Before(v.start.retryAt):
		return v.start.retryAt.Sub(now)
	}
	vmi = vmi.DeepCopy()
	log := klog.FromContext(ctx)
	s.run(starting, a.options.StartTimeout, func(ctx context.Context) { a.sync(klog.NewContext(ctx, log), s, vmi) })
	return 0
}

// finish sees to it that an instance in a final phase has no guest: whoever gave it that phase, another one may start
// elsewhere now.
func (a *Agent) finish(ctx context.Context, key types.NamespacedName, vmi *virtv1.VirtualMachineInstance, uid types.UID) time.Duration {
	if uid == "" {
		a.forget(key)
		return 0
	}
	s, err := a.session(ctx, key, vmi, uid)
	if err != nil {
		a.forget(key)
		return 0
	}
	v := s.view()
	switch {
	case v.over != nil, ended(v.event), v.stop.killed:
		a.forget(key)
		return 0
	case v.event == nil:
		return 0
	}
	return a.kill(ctx, s, v, a.clock.Now())
}

// shutdown asks the guest to power down, and kills it when the launcher has not done so in time.
func (a *Agent) shutdown(ctx context.Context, s *session, vmi *virtv1.VirtualMachineInstance, v view, now time.Time) time.Duration {
	deadline := vmi.DeletionTimestamp.Add(grace(vmi))
	if !now.Before(deadline.Add(killSlack)) {
		return a.kill(ctx, s, v, now)
	}
	if v.stop.asked && !deadline.Before(v.stop.deadline) {
		return deadline.Add(killSlack).Sub(now)
	}
	if v.busy[stopping] {
		return 0
	}
	if now.Before(v.stop.retryAt) {
		return v.stop.retryAt.Sub(now)
	}
	seconds := int64(max(deadline.Sub(now), 0).Round(time.Second) / time.Second)
	first := v.event.GetState() != launcher.DomainState_DOMAIN_STATE_STOPPING && !v.stop.asked
	vmi = vmi.DeepCopy()
	log := klog.FromContext(ctx)
	s.run(stopping, answerTimeout, func(ctx context.Context) {
		_, err := s.client.Shutdown(ctx, &launcher.ShutdownRequest{GracePeriodSeconds: &seconds})
		s.change(func() {
			s.stop.asked, s.stop.deadline = err == nil, deadline
			s.stop.retryAt = a.clock.Now().Add(firstRetry)
		})
		if err != nil {
			log.Error(err, "Could not ask the guest to shut down")
			return
		}
		if first {
			a.announceShutdown(vmi, seconds)
		}
	})
	return 0
}

// kill ends the guest, or a launcher that will never have one.
func (a *Agent) kill(ctx context.Context, s *session, v view, now time.Time) time.Duration {
	if v.stop.killed || v.busy[stopping] {
		return 0
	}
	if now.Before(v.stop.retryAt) {
		return v.stop.retryAt.Sub(now)
	}
	log := klog.FromContext(ctx)
	s.run(stopping, killTimeout, func(ctx context.Context) {
		_, err := s.client.Kill(ctx, &launcher.KillRequest{})
		s.change(func() {
			s.stop.killed = err == nil
			s.stop.retryAt = a.clock.Now().Add(lastRetry)
		})
		if err != nil {
			log.Error(err, "Could not kill the guest; the kubelet will when its pod's grace period ends")
		}
	})
	return 0
}

// launcherAway waits for a launcher that cannot be reached, and says so once it has been away for long.
func (a *Agent) launcherAway(ctx context.Context, key types.NamespacedName, vmi *virtv1.VirtualMachineInstance, cause error) (time.Duration, error) {
	now := a.clock.Now()
	since := a.setAway(key, true)
	overdue := since.Add(a.options.LauncherTimeout)
	f := &failure{reason: ReasonLauncherAway, message: fmt.Sprintf(
		"waiting for the launcher since %s: %v; the events of the instance's pod say more", since.UTC().Format(time.RFC3339), cause)}
	untrusted := errors.Is(cause, pod.ErrUntrusted)
	if untrusted {
		f = &failure{reason: ReasonLauncherUntrusted, message: cause.Error()}
	}
	if untrusted || !now.Before(overdue) {
		if err := a.writeStatus(ctx, key, vmi, view{start: startState{failure: f}}); err != nil {
			return 0, err
		}
	}
	switch {
	case untrusted:
		return lastRetry, nil
	case errors.Is(cause, pod.ErrNotThere):
		return max(overdue.Sub(now), 0), nil // the watcher will tell when it comes
	}
	return 0, errSoon
}

// setAway notes whether the launcher answers and gives the time since when it does not.
func (a *Agent) setAway(key types.NamespacedName, away bool) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !away {
		delete(a.away, key)
		return time.Time{}
	}
	if a.away[key].IsZero() {
		a.away[key] = a.clock.Now()
	}
	return a.away[key]
}

// session gives the connection to the pod's launcher, made if need be.
func (a *Agent) session(ctx context.Context, key types.NamespacedName, vmi *virtv1.VirtualMachineInstance, uid types.UID) (*session, error) {
	a.mu.Lock()
	s := a.sessions[key]
	a.mu.Unlock()
	if s != nil && s.pod == uid && s.vmi == vmi.UID {
		return s, nil
	}
	a.drop(key)
	dialCtx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, process, err := a.pods.Dial(dialCtx, uid, machine.LauncherSocket)
	if err != nil {
		return nil, err
	}
	s, err = newSession(vmi.UID, uid, conn, process, a.pulse, func() { a.queue.Add(key) })
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[key] = s
	launchers.Set(float64(len(a.sessions)))
	return s, nil
}

// drop closes the connection to an instance's launcher, if there is one.
func (a *Agent) drop(key types.NamespacedName) {
	a.mu.Lock()
	s := a.sessions[key]
	delete(a.sessions, key)
	launchers.Set(float64(len(a.sessions)))
	a.mu.Unlock()
	if s != nil {
		s.close()
	}
}

// forget lets go of an instance that is not, or no longer, ours.
func (a *Agent) forget(key types.NamespacedName) {
	a.drop(key)
	if a.options.Forgotten != nil {
		a.options.Forgotten(key)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if uid, ok := a.watched[key]; ok {
		a.watcher.Remove(uid)
		delete(a.watched, key)
	}
	delete(a.away, key)
	delete(a.written, key)
	delete(a.incidents, key)
}

func (a *Agent) watch(key types.NamespacedName, uid types.UID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watched[key] == uid {
		return nil
	}
	if old, ok := a.watched[key]; ok {
		a.watcher.Remove(old)
	}
	if err := a.watcher.Add(uid, func() { a.queue.Add(key) }); err != nil {
		return err
	}
	a.watched[key] = uid
	return nil
}

// write remembers the last status write of an instance.
type write struct {
	// base and result are the versions before and after it.
	base, result string
	// because is what it followed from.
	because string
}

// writeStatus writes what follows from v, if that is something else than what stands there.
func (a *Agent) writeStatus(ctx context.Context, key types.NamespacedName, vmi *virtv1.VirtualMachineInstance, v view) error {
	a.mu.Lock()
	last := a.written[key]
	a.mu.Unlock()
	if last.base != "" && last.base == vmi.ResourceVersion {
		return nil // our own write is on its way to the cache and brings us back
	}
	status := observe(vmi, v, metav1.NewTime(a.clock.Now()))
	if apiequality.Semantic.DeepEqual(&status, &vmi.Status) {
		return nil
	}
	because := v.summary()
	if last.result != "" && last.result == vmi.ResourceVersion && last.because == because {
		// The server did not take all of the last write. Writing it again and again would not change that.
		klog.FromContext(ctx).V(1).Info("The server keeps a part of the status as it is")
		return nil
	}
	updated := vmi.DeepCopy()
	updated.Status = status
	result, err := a.client.KubevirtV1().VirtualMachineInstances(key.Namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return errSoon // a newer object is on its way to the cache
	case err != nil:
		return fmt.Errorf("updating the instance's status: %w", err)
	}
	a.mu.Lock()
	a.written[key] = write{base: vmi.ResourceVersion, result: result.ResourceVersion, because: because}
	a.mu.Unlock()
	a.announce(vmi, updated)
	return nil
}

// Machine gives an instance of this node, the pod that it runs in, and its launcher; nil while there is no connection. The
// status is what the launcher says: a client can have seen what this agent wrote of it, by a watch of its own, before the
// write is in the agent's cache.
func (a *Agent) Machine(namespace, name string) (*virtv1.VirtualMachineInstance, types.UID, launcher.LauncherClient, error) {
	vmi, err := a.instances.VirtualMachineInstances(namespace).Get(name)
	if err != nil {
		return nil, "", nil, err
	}
	uid := launcherPod(vmi, a.options.Node)
	a.mu.Lock()
	s := a.sessions[types.NamespacedName{Namespace: namespace, Name: name}]
	a.mu.Unlock()
	if s == nil || s.pod != uid || s.vmi != vmi.UID {
		return vmi, uid, nil, nil
	}
	v, known := s.view(), *vmi // the cache's own stays as it is
	known.Status = observe(vmi, v, metav1.NewTime(a.clock.Now()))
	if v.over != nil {
		return &known, uid, nil, nil
	}
	return &known, uid, s.client, nil
}

// launcherPod is the pod on this node in which the instance runs.
func launcherPod(vmi *virtv1.VirtualMachineInstance, node string) types.UID {
	var here []types.UID
	for uid, name := range vmi.Status.ActivePods {
		if name == node {
			here = append(here, uid)
		}
	}
	if len(here) == 0 {
		return ""
	}
	return slices.Min(here)
}

func grace(vmi *virtv1.VirtualMachineInstance) time.Duration {
	if s := vmi.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(max(*s, 0)) * time.Second
	}
	return defaultGrace
}

func final(p virtv1.VirtualMachineInstancePhase) bool {
	return p == virtv1.Succeeded || p == virtv1.Failed
}

// lives says whether there is a guest that could be asked to power down.
func lives(e *launcher.Event) bool {
	switch e.GetState() {
	case launcher.DomainState_DOMAIN_STATE_RUNNING, launcher.DomainState_DOMAIN_STATE_PAUSED, launcher.DomainState_DOMAIN_STATE_STOPPING:
		return true
	}
	return false
}

func ended(e *launcher.Event) bool {
	switch e.GetState() {
	case launcher.DomainState_DOMAIN_STATE_SHUTDOWN, launcher.DomainState_DOMAIN_STATE_CRASHED:
		return true
	}
	return false
}
