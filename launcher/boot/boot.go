// Package boot makes a VMI ready to run: it carries out the plan of package convert on the node's files and gives the
// guest that package domain starts. It must start nothing itself.
package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/disk"
	"github.com/virtplane/virtplane/launcher/domain"
	"github.com/virtplane/virtplane/launcher/qemu"
	"github.com/virtplane/virtplane/launcher/supervise"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Preparer makes VMIs ready.
type Preparer struct {
	Paths convert.Paths
	// ResolvConf is the pod's.
	ResolvConf string
	// FileServer is the program that shares folders with guests, Swtpm the one that emulates a TPM.
	FileServer, Swtpm string
	Tool              disk.Tool
	// CPUs lists those that the pod may use; nil asks the kernel.
	CPUs func() ([]convert.HostCPU, error)
	Log  *slog.Logger
	// Now is the time, for guests whose clock has an offset.
	Now func() time.Time

	mu sync.Mutex
	// looks are those at claims that have not come back yet, by volume.
	looks map[string]*look
}

// request is a VMI on its way.
type request struct {
	*Preparer
	vmi     *virtv1.VirtualMachineInstance
	options *api.SyncOptions
	tool    disk.Tool
}

// Prepare makes disks and media and describes the machine. It may be called again after it failed and then makes all
// anew, but for the disks of claims, which are never touched.
func (p *Preparer) Prepare(ctx context.Context, req *api.SyncRequest) (*domain.Guest, error) {
	r, err := p.open(req)
	if err != nil {
		return nil, err
	}
	if err := r.checkPlumbing(); err != nil {
		return nil, err
	}
	volumes, err := convert.Volumes(r.vmi, p.Paths)
	if err != nil {
		return nil, specError(err)
	}
	in := convert.Input{
		VMI: r.vmi, Emulation: r.options.GetEmulation(), DefaultMachineType: r.options.GetDefaultMachineType(),
		Images: map[string]convert.Image{}, Interfaces: r.interfaces(), Paths: p.Paths, Now: p.Now(),
	}
	for _, v := range volumes {
		image, err := r.volume(ctx, v)
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", v.Name, err)
		}
		if in.Images[v.Name], err = r.blocks(v.Name, image); err != nil {
			return nil, err
		}
	}
	if err := r.firmware(&in); err != nil {
		return nil, err
	}
	helpers, err := r.equip(&in)
	if err != nil {
		return nil, err
	}
	result, err := convert.Machine(in)
	if err != nil {
		return nil, specError(err)
	}
	for _, w := range result.Warnings {
		p.Log.Warn("Left out part of the machine", "warning", w)
	}
	args, err := result.Machine.Args()
	if err != nil {
		return nil, api.Errorf(codes.InvalidArgument, api.ReasonInvalidSpec, "spec.domain: %w", err)
	}
	guest := &domain.Guest{
		UID: string(r.vmi.UID), Args: args, Emulation: in.Emulation, Grace: convert.GracePeriod(r.vmi),
		Paused: result.Paused, LinksDown: result.LinksDown, ClockOffset: clockOffset(r.vmi), Credentials: r.agentCredentials(),
		OpenTrays: result.OpenTrays, Helpers: helpers, Warnings: result.Warnings, Pins: (*domain.Pins)(result.Pins),
	}
	if result.Serial {
		guest.Serial = &supervise.Serial{
			Port: filepath.Join(p.Paths.Private, convert.SerialPort), Clients: filepath.Join(p.Paths.Sockets, machine.SerialSocket),
			History: filepath.Join(p.Paths.Sockets, machine.SerialHistorySocket),
		}
	}
	if guest.Interfaces, err = r.guestInterfaces(result); err != nil {
		return nil, err
	}
	guest.Metrics = r.metricsOf(volumes, result.Machine)
	shares, err := r.filesystems()
	guest.Helpers = append(guest.Helpers, shares...)
	return guest, err
}

// open decodes the VMI and refuses what is not known here.
func (p *Preparer) open(req *api.SyncRequest) (*request, error) {
	r := &request{Preparer: p, vmi: &virtv1.VirtualMachineInstance{}, options: req.GetOptions(), tool: p.Tool}
	if err := convert.CheckFields(req.GetVmi()); err != nil {
		return nil, specError(err)
	}
	if err := json.Unmarshal(req.GetVmi(), r.vmi); err != nil {
		return nil, api.Errorf(codes.InvalidArgument, api.ReasonInvalidSpec, "decoding VMI: %w", err)
	}
	if r.options == nil {
		r.options = &api.SyncOptions{}
	}
	if limit := r.options.GetImageSizeLimitBytes(); limit > 0 {
		r.tool.SizeLimit = limit
	}
	return r, nil
}

// specError gives an error of package convert its reason.
func specError(err error) error {
	reason := api.ReasonInvalidSpec
	if convert.OnlyUnsupported(err) {
		reason = api.ReasonUnsupportedField
	}
	return api.Wrap(err, codes.InvalidArgument, reason)
}

// firmware finds what the guest boots from, apart from disks.
func (r *request) firmware(in *convert.Input) error {
	f := r.vmi.Spec.Domain.Firmware
	if f == nil {
		return nil
	}
	if f.KernelBoot != nil && f.KernelBoot.Container != nil {
		var err error
		if in.Kernel, in.Initrd, err = r.kernel(f.KernelBoot.Container); err != nil {
			return err
		}
	}
	if f.Bootloader != nil && f.Bootloader.EFI != nil {
		e := f.Bootloader.EFI
		var err error
		if in.UEFICode, in.UEFIVars, err = r.uefi(e.SecureBoot == nil || *e.SecureBoot, e.Persistent != nil && *e.Persistent); err != nil {
			return err
		}
	}
	return r.acpiTables(f.ACPI)
}

func (r *request) kernel(c *virtv1.KernelBootContainer) (kernel, initrd string, err error) {
	find := func(name, inside string) (string, error) {
		if inside == "" {
			return "", nil
		}
		path, err := disk.Resolve(r.Paths.KernelBoot, inside, api.ReasonKernelMissing)
		if err != nil {
			return "", fmt.Errorf("spec.domain.firmware.kernelBoot.container.%s: %w", name, err)
		}
		return path, nil
	}
	if kernel, err = find("kernelPath", c.KernelPath); err != nil {
		return "", "", err
	}
	initrd, err = find("initrdPath", c.InitrdPath)
	return kernel, initrd, err
}

// checkPlumbing wants the node's part of each interface before anything is made.
func (r *request) checkPlumbing() error {
	for i := range r.vmi.Spec.Domain.Devices.Interfaces {
		iface := &r.vmi.Spec.Domain.Devices.Interfaces[i]
		if iface.State == "absent" {
			continue
		}
		if o := r.interfaceOptions(iface.Name); o == nil || o.GetTap() == "" {
			return api.Errorf(codes.Unavailable, api.ReasonNetworkUnavailable, "interface %s: the node agent has named no tap device for it", iface.Name)
		}
	}
	return nil
}

func (r *request) interfaceOptions(name string) *api.InterfaceOptions {
	for _, o := range r.options.GetInterfaces() {
		if o.GetName() == name {
			return o
		}
	}
	return nil
}

// qemuImage is an image without more ado.
func qemuImage(path string, format qemu.Format) convert.Image {
	return convert.Image{Image: qemu.Image{Path: path, Format: format}, Direct: disk.SupportsDirect(path)}
}
