package node

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Reasons of events on instances.
const (
	EventCreated      = "Created"
	EventStarted      = "Started"
	EventPaused       = "Paused"
	EventResumed      = "Resumed"
	EventShuttingDown = "ShuttingDown"
	EventStopped      = "Stopped"
	EventSyncFailed   = "SyncFailed"
)

// announce tells transitions, and only those, as events. It is called after the status was written, so that an agent that
// dies in between tells nothing twice.
func (a *Agent) announce(was, is *virtv1.VirtualMachineInstance) {
	old, now := condition(&was.Status, virtv1.VirtualMachineInstanceSynchronized), condition(&is.Status, virtv1.VirtualMachineInstanceSynchronized)
	told := now != nil && now.Status == corev1.ConditionFalse && (old == nil || old.Reason != now.Reason)
	if told {
		a.event(is, corev1.EventTypeWarning, EventSyncFailed, fmt.Sprintf("%s: %s", now.Reason, now.Message))
	}
	if was.Status.Phase != is.Status.Phase {
		a.announcePhase(is, told)
		return
	}
	paused, before := condition(&is.Status, virtv1.VirtualMachineInstancePaused), condition(&was.Status, virtv1.VirtualMachineInstancePaused)
	switch {
	case paused != nil && before == nil:
		a.event(is, corev1.EventTypeNormal, EventPaused, fmt.Sprintf("The guest was paused: %s", paused.Reason))
	case paused == nil && before != nil:
		a.event(is, corev1.EventTypeNormal, EventResumed, "The guest runs again")
	}
}

func (a *Agent) announcePhase(is *virtv1.VirtualMachineInstance, told bool) {
	reason := is.Status.Reason
	if reason == "" {
		reason = "no reason is known"
	}
	switch is.Status.Phase {
	case virtv1.Running:
		a.event(is, corev1.EventTypeNormal, EventCreated, "The launcher has set up the virtual machine")
		a.event(is, corev1.EventTypeNormal, EventStarted, "The guest was started")
	case virtv1.Succeeded:
		a.event(is, corev1.EventTypeNormal, EventStopped, "The guest has ended: "+reason)
	case virtv1.Failed:
		if !told {
			a.event(is, corev1.EventTypeWarning, EventStopped, "The guest has failed: "+reason)
		}
	}
}

func (a *Agent) announceShutdown(vmi *virtv1.VirtualMachineInstance, seconds int64) {
	a.event(vmi, corev1.EventTypeNormal, EventShuttingDown, fmt.Sprintf("The guest was asked to power down; it is killed after %d s", seconds))
}

// noteLimit is what the API takes of an event's note.
const noteLimit = 1000

func (a *Agent) event(vmi *virtv1.VirtualMachineInstance, kind, reason, note string) {
	if len(note) > noteLimit {
		note = strings.ToValidUTF8(note[:noteLimit], "") + " …"
	}
	a.recorder.Eventf(vmi, nil, kind, reason, "Run", "%s", note)
}
