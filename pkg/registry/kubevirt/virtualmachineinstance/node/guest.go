package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// More texts that clients and scripts match.
var (
	errIsPaused = errors.New("VMI is paused")
	errNoAgent  = errors.New("VMI does not have guest agent connected")
	errNoReboot = errors.New("VMI neither have the agent connected nor the ACPI feature enabled")
)

// Freeze has a guest hold back what it writes to its file systems. Its agent ends that after timeout, which must be given; 0
// is without end.
func (a *Actions) Freeze(ctx context.Context, name string, timeout *metav1.Duration, dryRun []string) error {
	switch {
	case timeout == nil:
		return apierrors.NewBadRequest("Unfreeze timeout in freeze request is not set")
	case timeout.Duration < 0:
		return apierrors.NewBadRequest(fmt.Sprintf("unfreezeTimeout: Invalid value: %q: must be 0 or more", timeout.Duration))
	}
	return a.act(ctx, name, "freeze", virtv1.FreezeUnfreezeTimeout{UnfreezeTimeout: timeout}, dryRun, mayFreeze)
}

// Unfreeze lets a guest write again.
func (a *Actions) Unfreeze(ctx context.Context, name string, dryRun []string) error {
	return a.act(ctx, name, "unfreeze", nil, dryRun, mayUnfreeze)
}

// Reset presses the reset button of a guest.
func (a *Actions) Reset(ctx context.Context, name string, dryRun []string) error {
	return a.act(ctx, name, "reset", nil, dryRun, mayReset)
}

// SoftReboot asks a guest to reboot.
func (a *Actions) SoftReboot(ctx context.Context, name string, dryRun []string) error {
	return a.act(ctx, name, "softreboot", nil, dryRun, maySoftReboot)
}

// GuestInfo gives what a guest's agent tells of it.
func (a *Actions) GuestInfo(ctx context.Context, name string) (*virtv1.VirtualMachineInstanceGuestAgentInfo, error) {
	out := &virtv1.VirtualMachineInstanceGuestAgentInfo{}
	return out, a.query(ctx, name, "guestosinfo", out)
}

// Users lists who is logged into a guest.
func (a *Actions) Users(ctx context.Context, name string) (*virtv1.VirtualMachineInstanceGuestOSUserList, error) {
	out := &virtv1.VirtualMachineInstanceGuestOSUserList{}
	return out, a.query(ctx, name, "userlist", out)
}

// Filesystems lists what a guest has mounted.
func (a *Actions) Filesystems(ctx context.Context, name string) (*virtv1.VirtualMachineInstanceFileSystemList, error) {
	out := &virtv1.VirtualMachineInstanceFileSystemList{}
	return out, a.query(ctx, name, "filesystemlist", out)
}

func (a *Actions) query(ctx context.Context, name, endpoint string, into any) error {
	vmi, err := a.get(ctx, name, mayAskAgent)
	if err != nil {
		return err
	}
	return a.call(ctx, vmi, http.MethodGet, endpoint, nil, into)
}

// Instance reads an instance, whatever it does.
func (a *Actions) Instance(ctx context.Context, name string) (*virtv1.VirtualMachineInstance, error) {
	return a.get(ctx, name, func(*virtv1.VirtualMachineInstance) error { return nil })
}

func mayFreeze(vmi *virtv1.VirtualMachineInstance) error {
	switch {
	case vmi.Status.Phase != virtv1.Running:
		return resource(vmi, errVMNotRunning)
	case hasCondition(vmi, virtv1.VirtualMachineInstancePaused):
		return resource(vmi, errIsPaused)
	}
	return withAgent(vmi, "Freeze")
}

func mayUnfreeze(vmi *virtv1.VirtualMachineInstance) error {
	if vmi.Status.Phase != virtv1.Running {
		return resource(vmi, errVMINotRunning)
	}
	return withAgent(vmi, "Unfreeze")
}

// withAgent refuses a command that a guest without an agent cannot follow, in the words that clients look for.
func withAgent(vmi *virtv1.VirtualMachineInstance, command string) error {
	if hasCondition(vmi, virtv1.VirtualMachineInstanceAgentConnected) {
		return nil
	}
	return apierrors.NewInternalError(fmt.Errorf("command %s failed: QEMU guest agent is not connected", command))
}

func mayAskAgent(vmi *virtv1.VirtualMachineInstance) error {
	switch {
	case vmi.Status.Phase != virtv1.Running:
		return resource(vmi, errVMINotRunning)
	case !hasCondition(vmi, virtv1.VirtualMachineInstanceAgentConnected):
		return resource(vmi, errNoAgent)
	}
	return nil
}

func mayReset(vmi *virtv1.VirtualMachineInstance) error {
	if vmi.Status.Phase == virtv1.Running {
		return nil
	}
	return apierrors.NewBadRequest(fmt.Sprintf("Failed to reset non-running VMI with phase %s: %s", vmi.Status.Phase, notRunning(vmi)))
}

func maySoftReboot(vmi *virtv1.VirtualMachineInstance) error {
	switch {
	case vmi.Status.Phase != virtv1.Running:
		return resource(vmi, errVMNotRunning)
	case hasCondition(vmi, virtv1.VirtualMachineInstancePaused):
		return resource(vmi, errIsPaused)
	case !hasCondition(vmi, virtv1.VirtualMachineInstanceAgentConnected) && !hasACPI(vmi):
		return resource(vmi, errNoReboot)
	}
	return nil
}

func hasACPI(vmi *virtv1.VirtualMachineInstance) bool {
	f := vmi.Spec.Domain.Features
	return f == nil || f.ACPI.Enabled == nil || *f.ACPI.Enabled
}
