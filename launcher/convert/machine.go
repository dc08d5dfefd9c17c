package convert

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Sockets of a machine in the launcher's private folder.
const (
	MonitorSocket = "qmp.sock"
	AgentSocket   = "qga.sock"
	TPMSocket     = "tpm.sock"
	// SerialPort is where QEMU gives the first serial port to the pod's first process, which serves the console.
	SerialPort = "serial0.sock"
)

// Input is all that decides how a machine looks.
type Input struct {
	VMI       *virtv1.VirtualMachineInstance
	Emulation bool
	// DefaultMachineType is taken where the VMI names none; empty means q35.
	DefaultMachineType string
	// Images holds what became of each planned volume.
	Images map[string]Image
	// Kernel is set for kernelBoot: the files found in the image.
	Kernel, Initrd string
	// UEFICode and UEFIVars are set when the VMI boots by UEFI.
	UEFICode, UEFIVars string
	Interfaces         map[string]Interface
	// CPUs are those of the node that the pod has for itself, of a VMI with dedicated ones.
	CPUs  []HostCPU
	Paths Paths
	// Now is the time that a clock with an offset starts from.
	Now time.Time
}

// Image is a volume that is ready to be opened.
type Image struct {
	qemu.Image
	// Direct says that the file system can go past the page cache.
	Direct bool
	// Shared says that others may write to it too, ReadOnly that the guest may not, whatever the VMI's disk says.
	Shared, ReadOnly bool
	// LogicalBlock and PhysicalBlock are the sizes of the storage's blocks in bytes, where the disk is to have the same.
	LogicalBlock, PhysicalBlock int
}

// Interface is the plumbing of a network interface.
type Interface struct {
	Tap    string
	MAC    string
	MTU    int
	Queues int
	Vhost  bool
}

// Result is a machine and what must be known beside it.
type Result struct {
	Machine *qemu.Machine
	// Paused says that the guest is not to run until somebody asks.
	Paused bool
	// Serial says that there is a serial console.
	Serial bool
	// LinksDown names the cards whose cable is to be pulled before the guest runs.
	LinksDown []string
	// OpenTrays names the CD-ROM drives whose tray is to be opened before the guest runs.
	OpenTrays []string
	// Pins places QEMU's threads on CPUs of the node; nil leaves that to the kernel.
	Pins *Pins
	// Warnings tell what software emulation leaves out.
	Warnings []string
}

// Defaults of what a VMI need not say.
const (
	defaultMachine = "q35"
	// DefaultGracePeriod is the time to power down of a VMI that names none.
	DefaultGracePeriod = 30 * time.Second
)

// Machine converts the VMI. It tells all that is wrong with it at once.
func Machine(in Input) (*Result, error) {
	b := &builder{Input: in, spec: &in.VMI.Spec, domain: &in.VMI.Spec.Domain}
	b.m = &qemu.Machine{
		Name:    machineName(in.VMI),
		UUID:    UUID(in.VMI),
		Type:    b.machineType(),
		Accel:   qemu.KVM,
		Monitor: qemu.Monitor{Socket: filepath.Join(in.Paths.Private, MonitorSocket)},
	}
	if in.Emulation {
		b.m.Accel = qemu.TCG
	}
	if a := b.spec.Architecture; a != "" && a != "amd64" {
		b.unsupported("spec.architecture", "%q is not supported, must be amd64", a)
	}
	b.memory()
	b.cpu()
	b.placement()
	b.features()
	b.clock()
	b.firmware()
	b.smbios()
	b.policies()
	b.ioThreads()
	b.devices()
	b.disks()
	b.interfaces()
	b.metricsChannel()
	b.filesystems()
	b.bootOrder()
	b.places()
	if err := b.err(); err != nil {
		return nil, err
	}
	if err := b.m.Validate(); err != nil {
		return nil, &Error{Problems: []error{&FieldError{Field: "spec.domain", Detail: strings.ReplaceAll(err.Error(), "\n", "; ")}}}
	}
	b.result.Machine = b.m
	return &b.result, nil
}

// maxName is how long the name of a machine is at most. It tells people which of QEMU's processes is whose.
const maxName = 255

func machineName(vmi *virtv1.VirtualMachineInstance) string {
	name := vmi.Namespace + "_" + vmi.Name
	return name[:min(len(name), maxName)]
}

// builder gathers the machine.
type builder struct {
	Input
	problems
	spec   *virtv1.VirtualMachineInstanceSpec
	domain *virtv1.DomainSpec
	m      *qemu.Machine
	result Result
	// threads are those that serve disks.
	threads diskThreads
}

func (b *builder) warn(format string, args ...any) {
	b.result.Warnings = append(b.result.Warnings, fmt.Sprintf(format, args...))
}

func (b *builder) machineType() string {
	if m := b.domain.Machine; m != nil && m.Type != "" {
		return m.Type
	}
	if b.DefaultMachineType != "" {
		return b.DefaultMachineType
	}
	return defaultMachine
}

func (b *builder) memory() {
	q := machine.GuestMemory(b.spec)
	b.m.MemoryMiB = q.Value() >> 20
	if b.m.MemoryMiB < 1 {
		b.invalid("spec.domain.memory.guest", "must be at least 1Mi where resources.requests.memory is not set")
	}
	m := b.domain.Memory
	if m == nil {
		return
	}
	if m.MaxGuest != nil && m.MaxGuest.Cmp(q) > 0 {
		b.warn("spec.domain.memory.maxGuest: memory is not added while the guest runs; more is there when it starts anew")
	}
	if o := m.ReservedOverhead; o != nil && o.MemLock == "Required" {
		b.unsupported("spec.domain.memory.reservedOverhead.memLock", "a machine's pod has no right to keep memory resident, must be NotRequired; memory.hugepages is always resident")
	}
	if m.Hugepages != nil {
		const field = "spec.domain.memory.hugepages.pageSize"
		size, err := resource.ParseQuantity(m.Hugepages.PageSize)
		switch {
		case err != nil || size.Value() != 2<<20 && size.Value() != 1<<30:
			b.unsupported(field, "%q is not supported, must be 2Mi or 1Gi, the sizes that the processor has", m.Hugepages.PageSize)
		case q.Value()%size.Value() != 0:
			b.invalid(field, "the guest's memory %s must be a multiple of %s", q.String(), m.Hugepages.PageSize)
		default:
			b.m.HugePage = size.Value()
		}
	}
}

func (b *builder) policies() {
	switch b.domain.RebootPolicy {
	case "", "Reboot":
	case "Terminate":
		b.m.ExitOnReboot = true
	default:
		b.unsupported("spec.domain.rebootPolicy", "%q is not supported, must be Reboot or Terminate", b.domain.RebootPolicy)
	}
	if s := b.spec.StartStrategy; s != nil && *s != "" {
		if *s != "Paused" {
			b.unsupported("spec.startStrategy", "%q is not supported, must be Paused", *s)
		}
		// Who starts a guest paused wants to be there when it boots.
		b.result.Paused, b.m.BootMenu = true, true
	}
}

// UUID is the machine's identity: the one of its firmware settings, else one that its name alone decides, so that it
// survives a restart.
func UUID(vmi *virtv1.VirtualMachineInstance) string {
	if f := vmi.Spec.Domain.Firmware; f != nil && f.UUID != "" {
		return string(f.UUID)
	}
	sum := sha256.Sum256([]byte("uuid/" + vmi.Namespace + "/" + vmi.Name))
	sum[6] = sum[6]&0x0f | 0x80 // version 8: made as its maker likes
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// MAC is the Ethernet address of an interface for which nobody has chosen one. The name alone decides it.
func MAC(vmi *virtv1.VirtualMachineInstance, name string) string {
	sum := sha256.Sum256([]byte("mac/" + vmi.Namespace + "/" + vmi.Name + "/" + name))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4])
}

// Hostname is what the guest is called: as the VMI says, else the VMI's name up to its first dot.
func Hostname(vmi *virtv1.VirtualMachineInstance) string {
	name := vmi.Spec.Hostname
	if name == "" {
		name, _, _ = strings.Cut(vmi.Name, ".")
	}
	if len(name) > 63 {
		name = name[:63]
	}
	return strings.TrimRight(name, "-")
}

// GracePeriod is the guest's time to power down.
func GracePeriod(vmi *virtv1.VirtualMachineInstance) time.Duration {
	if s := vmi.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(max(*s, 0)) * time.Second
	}
	return DefaultGracePeriod
}
