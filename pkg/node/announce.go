package node

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	launcher "github.com/virtplane/virtplane/launcher/api"
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
	// EventDeleted tells that the guest of a deleted instance has ended.
	EventDeleted    = "Deleted"
	EventSyncFailed = "SyncFailed"
	// EventSoftRebooted tells that a guest was asked to reboot.
	EventSoftRebooted             = "SoftRebooted"
	EventAccessCredentialsSynced  = "AccessCredentialsSyncSuccess"
	EventAccessCredentialsFailing = "AccessCredentialsSyncFailed"
)

// wanted are the reasons for which somebody has paused a guest; all others are failures of it, or of what it runs on.
var wanted = map[string]bool{
	launcher.ReasonPausedByUser:        true,
	launcher.ReasonPausedStartStrategy: true,
	launcher.ReasonPausedShutdown:      true, // on the way to a reboot
}

// announce tells transitions, and only those, as events. It is called after the status was written, so that an agent that
// dies in between tells nothing twice.
func (a *Agent) announce(was, is *virtv1.VirtualMachineInstance) {
	old, now := condition(&was.Status, virtv1.VirtualMachineInstanceSynchronized), condition(&is.Status, virtv1.VirtualMachineInstanceSynchronized)
	told := now != nil && now.Status == corev1.ConditionFalse && (old == nil || old.Reason != now.Reason)
	if told {
		a.event(is, corev1.EventTypeWarning, EventSyncFailed, fmt.Sprintf("%s: %s", now.Reason, now.Message))
	}
	a.announceCredentials(was, is)
	a.announceShortfall(was, is)
	if was.Status.Phase != is.Status.Phase {
		a.announcePhase(is, told)
		return
	}
	paused, before := condition(&is.Status, virtv1.VirtualMachineInstancePaused), condition(&was.Status, virtv1.VirtualMachineInstancePaused)
	switch {
	case paused != nil && (before == nil || before.Reason != paused.Reason):
		kind := corev1.EventTypeWarning
		if wanted[paused.Reason] {
			kind = corev1.EventTypeNormal
		}
		a.event(is, kind, EventPaused, fmt.Sprintf("The guest was paused: %s: %s", paused.Reason, paused.Message))
	case paused == nil && before != nil:
		a.event(is, corev1.EventTypeNormal, EventResumed, "The guest runs again")
	}
}

// announceCredentials tells when the guest has got its keys and passwords, and why it has not. That its agent has yet to
// connect is no failure.
func (a *Agent) announceCredentials(was, is *virtv1.VirtualMachineInstance) {
	before, now := condition(&was.Status, virtv1.VirtualMachineInstanceAccessCredentialsSynchronized), condition(&is.Status, virtv1.VirtualMachineInstanceAccessCredentialsSynchronized)
	switch {
	case now == nil || before != nil && before.Status == now.Status && before.Message == now.Message:
	case now.Status == corev1.ConditionTrue:
		a.event(is, corev1.EventTypeNormal, EventAccessCredentialsSynced, "Access credentials sync successful.")
	case before != nil || now.Reason != launcher.ReasonAgentUnavailable:
		a.event(is, corev1.EventTypeWarning, EventAccessCredentialsFailing, "Access credentials sync failed: "+now.Message)
	}
}

// announceShortfall tells when the guest begins to run without something that its spec asks for, or without something else.
func (a *Agent) announceShortfall(was, is *virtv1.VirtualMachineInstance) {
	before, now := condition(&was.Status, virtv1.VirtualMachineInstanceDegraded), condition(&is.Status, virtv1.VirtualMachineInstanceDegraded)
	if now == nil || before != nil && before.Message == now.Message {
		return
	}
	kind := corev1.EventTypeWarning
	if now.Reason == launcher.ReasonFieldsWithoutEffect {
		kind = corev1.EventTypeNormal // the guest lacks nothing that it could have
	}
	a.event(is, kind, eventReason(now.Reason), now.Message)
}

// SoftRebooted tells that a guest was asked to reboot.
func (a *Agent) SoftRebooted(vmi *virtv1.VirtualMachineInstance) {
	a.event(vmi, corev1.EventTypeNormal, EventSoftRebooted, "VirtualMachineInstance soft rebooted")
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
		if c := condition(&is.Status, virtv1.VirtualMachineInstanceReady); c != nil && c.Message != "" {
			reason += ": " + c.Message
		}
		switch {
		case told:
		case is.Status.Reason == ReasonPodTerminated:
			a.event(is, corev1.EventTypeWarning, EventStopped, "The VirtualMachineInstance lost its pod: "+reason)
		default:
			a.event(is, corev1.EventTypeWarning, EventStopped, "The VirtualMachineInstance crashed: "+reason)
		}
	}
	if is.DeletionTimestamp != nil && final(is.Status.Phase) {
		a.event(is, corev1.EventTypeNormal, EventDeleted, "Signaled Deletion")
	}
}

// announceIncidents tells what has happened to a guest unasked. No status holds it, so an agent that finds a guest which ran
// before takes what it finds for told.
func (a *Agent) announceIncidents(key types.NamespacedName, vmi *virtv1.VirtualMachineInstance, e *launcher.Event) {
	a.mu.Lock()
	all, known := a.incidents[key]
	if !known {
		all = map[string]told{}
		a.incidents[key] = all
	}
	now := a.clock.Now()
	var news []*launcher.Incident
	for _, i := range e.GetIncidents() {
		last, before := all[i.GetReason()]
		at := i.GetAt().AsTime()
		switch {
		case before && (!at.After(last.at) || now.Sub(last.when) < incidentPause):
			continue // the newest one is told when the pause is over and the launcher has something to say
		case !before && len(all) >= mostIncidents:
			continue // a launcher that invents reasons is not listened to for ever
		case !known && vmi.Status.Phase == virtv1.Running:
			all[i.GetReason()] = told{at: at}
			continue
		}
		all[i.GetReason()] = told{at, now}
		news = append(news, i)
	}
	a.mu.Unlock()
	for _, i := range news {
		kind := corev1.EventTypeWarning
		if i.GetReason() == launcher.ReasonGuestReset {
			kind = corev1.EventTypeNormal // a reboot from within looks like this
		}
		a.event(vmi, kind, eventReason(i.GetReason()), fmt.Sprintf("At %s: %s", i.GetAt().AsTime().UTC().Format(time.RFC3339), i.GetMessage()))
	}
}

// told is an incident that an event has told of: when it was, and when it was told.
type told struct{ at, when time.Time }

const (
	// incidentPause keeps a guest whose watchdog barks all the time from filling the API with events.
	incidentPause = time.Minute
	// mostIncidents bounds the reasons that are remembered for a guest.
	mostIncidents = 8
	// reasonLimit is what the API takes of an event's reason.
	reasonLimit = 128
)

func eventReason(s string) string {
	if s == "" {
		return "Incident"
	}
	return strings.ToValidUTF8(s[:min(len(s), reasonLimit)], "")
}

func (a *Agent) announceShutdown(vmi *virtv1.VirtualMachineInstance, seconds int64) {
	a.event(vmi, corev1.EventTypeNormal, EventShuttingDown, fmt.Sprintf("The guest was asked to power down; it is killed after %d s", seconds))
}

// noteLimit is what the API takes of an event's note.
const noteLimit = 1000

func (a *Agent) event(vmi *virtv1.VirtualMachineInstance, kind, reason, note string) {
	a.recorder.Eventf(vmi, nil, kind, reason, "Run", "%s", cut(note, noteLimit))
}
