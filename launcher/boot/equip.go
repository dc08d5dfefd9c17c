package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/disk"
	"github.com/virtplane/virtplane/launcher/supervise"
	"github.com/virtplane/virtplane/pkg/machine"
)

// equip finds what the machine needs of the node beside disks and firmware, and gives the programs that serve QEMU.
func (r *request) equip(in *convert.Input) ([]supervise.Helper, error) {
	if err := r.dedicate(in); err != nil {
		return nil, err
	}
	if v := r.vmi.Spec.Domain.Devices.AutoattachVSOCK; v != nil && *v {
		device := filepath.Join(r.Paths.Devices, "vhost-vsock")
		if _, err := os.Stat(device); err != nil {
			return nil, api.Errorf(codes.FailedPrecondition, api.ReasonUnsupportedField, "spec.domain.devices.autoattachVSOCK: the pod has no device for it: %w", err)
		}
	}
	if !convert.HasTPM(r.vmi) {
		return nil, nil
	}
	tpm, err := r.tpm()
	return []supervise.Helper{tpm}, err
}

// tpm is the program that is the guest's trusted platform module. It makes its state when it has none.
func (r *request) tpm() (supervise.Helper, error) {
	state := filepath.Join(r.Paths.Private, "tpm")
	if p := r.vmi.Spec.Domain.Devices.TPM.Persistent; p != nil && *p {
		if err := r.hasState("spec.domain.devices.tpm.persistent", "a TPM that lives as long as the instance"); err != nil {
			return supervise.Helper{}, err
		}
		state = filepath.Join(r.Paths.State, "tpm")
	}
	if err := disk.CheckFile(r.Swtpm); err != nil {
		return supervise.Helper{}, api.Errorf(codes.FailedPrecondition, api.ReasonFirmwareMissing, "spec.domain.devices.tpm: the program that emulates it: %w", err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return supervise.Helper{}, api.Wrap(fmt.Errorf("making a place for the TPM's state: %w", err), codes.Unavailable, api.ReasonStartFailed)
	}
	return supervise.Helper{Name: "swtpm", Path: r.Swtpm, Listen: filepath.Join(r.Paths.Private, convert.TPMSocket), Args: []string{
		"socket", "--tpm2", "--tpmstate", "dir=" + state + ",mode=0600", "--ctrl", fmt.Sprintf("type=unixio,fd=%d", supervise.HelperFD), "--terminate",
	}}, nil
}

// dedicate finds the CPUs that the kubelet has given to the pod alone.
func (r *request) dedicate(in *convert.Input) error {
	want := int(machine.DedicatedCPUs(&r.vmi.Spec.Domain))
	if want == 0 {
		return nil
	}
	list := r.CPUs
	if list == nil {
		list = func() ([]convert.HostCPU, error) { return hostCPUs("/sys/devices/system/cpu") }
	}
	cpus, err := list()
	if err != nil {
		return api.Wrap(fmt.Errorf("looking at the pod's CPUs: %w", err), codes.Unavailable, api.ReasonCPUsUnavailable)
	}
	if len(cpus) != want {
		// Pinned to CPUs that it shares with others, the guest would be slower than without.
		return api.Errorf(codes.FailedPrecondition, api.ReasonCPUsUnavailable,
			"spec.domain.cpu.dedicatedCpuPlacement: the machine needs %d CPUs of the node for itself and the pod may use %d: the kubelet of the node must have the CPU manager policy static", want, len(cpus))
	}
	in.CPUs = cpus
	return nil
}

// hostCPUs lists the CPUs that this process may use, with their places as sysfs tells them.
func hostCPUs(sysfs string) ([]convert.HostCPU, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var out []convert.HostCPU
	for id := 0; len(out) < set.Count(); id++ {
		if !set.IsSet(id) {
			continue
		}
		dir := filepath.Join(sysfs, "cpu"+strconv.Itoa(id))
		c := convert.HostCPU{ID: id, Core: id}
		for name, to := range map[string]*int{"physical_package_id": &c.Package, "core_id": &c.Core} {
			raw, err := os.ReadFile(filepath.Join(dir, "topology", name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // a kernel that does not tell
			}
			if err != nil {
				return nil, err
			}
			if *to, err = strconv.Atoi(strings.TrimSpace(string(raw))); err != nil {
				return nil, fmt.Errorf("%s of CPU %d: %w", name, id, err)
			}
		}
		nodes, err := filepath.Glob(filepath.Join(dir, "node[0-9]*"))
		if err == nil && len(nodes) > 0 {
			if n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(nodes[0]), "node")); err == nil {
				c.Node = n
			}
		}
		out = append(out, c)
	}
	return out, nil
}
