package v1

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

func addDefaultingFuncs(scheme *runtime.Scheme) error { return RegisterDefaults(scheme) }

// Defaults of an instance that depend on nothing but itself. Those that depend on the cluster's configuration are filled in
// when the instance is created. A VirtualMachine has no defaults, and none are made below its template (decision 6), which
// is why there is one function for the kind and none for its parts.
const (
	// DefaultGracePeriodSeconds is how long a guest may take to shut down.
	DefaultGracePeriodSeconds int64 = 30
	// DefaultDiskBus suits guests without further drivers; only q35 machines are supported, so there is no IDE.
	DefaultDiskBus = "sata"
	// MetricsDiskBus is the only one on which guests look for downward metrics.
	MetricsDiskBus = "virtio"
	// DefaultLUNBus is the only bus on which a guest can send commands of SCSI.
	DefaultLUNBus = "scsi"
	// DefaultInterfaceModel needs a driver in the guest that all current systems but Windows have.
	DefaultInterfaceModel = "virtio"
	// DefaultInputBus and DefaultInputType make pointers in the console line up.
	DefaultInputBus  = "usb"
	DefaultInputType = "tablet"
	// DefaultWatchdogAction restarts a guest that has stopped feeding its watchdog.
	DefaultWatchdogAction = "reset"
	// DefaultTray is the state of a CD-ROM drive at boot.
	DefaultTray = "closed"
	// DefaultPortProtocol is the protocol of a port of an interface.
	DefaultPortProtocol = "TCP"
	// DefaultSpinlockRetries is what Windows expects of Hyper-V.
	DefaultSpinlockRetries uint32 = 4096
	// MaxVirtualCPUs is how many virtual CPUs one machine can have.
	MaxVirtualCPUs = 512

	vmx           = "vmx"
	requirePolicy = "require"
)

// SetDefaults_VirtualMachineInstance fills in what an instance leaves out. It is idempotent.
func SetDefaults_VirtualMachineInstance(vmi *VirtualMachineInstance) {
	spec := &vmi.Spec
	defaultForms(spec)
	if spec.TerminationGracePeriodSeconds == nil {
		spec.TerminationGracePeriodSeconds = ptr.To(DefaultGracePeriodSeconds)
	}
	defaultResources(&spec.Domain)
	defaultCPU(&spec.Domain)
	defaultMemory(&spec.Domain)
	defaultFeatures(&spec.Domain)
	defaultTimers(spec.Domain.Clock)
	if spec.Domain.Firmware == nil {
		spec.Domain.Firmware = &Firmware{}
	}
	defaultDisks(spec)
	defaultDevices(&spec.Domain.Devices)
	defaultInterfaces(spec)
	defaultImages(spec)
	defaultProbe(spec.ReadinessProbe)
	defaultProbe(spec.LivenessProbe)
}

// defaultResources requests what is limited, as Kubernetes does for containers. Maps of the object are replaced, never
// written to: objects that share them must not change with it.
func defaultResources(d *DomainSpec) {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, limited := d.Resources.Limits[name]
		if _, requested := d.Resources.Requests[name]; limited && !requested && !limit.IsZero() {
			d.Resources.Requests = with(d.Resources.Requests, name, limit)
		}
	}
}

func with(list corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) corev1.ResourceList {
	out := maps.Clone(list)
	if out == nil {
		out = corev1.ResourceList{}
	}
	out[name] = q.DeepCopy()
	return out
}

// defaultCPU makes the topology explicit. Without any, CPUs that are limited or requested become sockets, which perform
// best; with a part of one, the rest is one.
func defaultCPU(d *DomainSpec) {
	if d.CPU == nil {
		d.CPU = &CPU{}
	}
	c := d.CPU
	if c.Sockets == 0 && c.Cores == 0 && c.Threads == 0 {
		q, ok := d.Resources.Limits[corev1.ResourceCPU]
		if !ok {
			q = d.Resources.Requests[corev1.ResourceCPU]
		}
		c.Sockets = uint32(min(max(q.Value(), 1), MaxVirtualCPUs))
	}
	c.Sockets, c.Cores, c.Threads = max(c.Sockets, 1), max(c.Cores, 1), max(c.Threads, 1)
}

// defaultMemory gives the guest what is requested, else what is limited, else one huge page.
func defaultMemory(d *DomainSpec) {
	if d.Memory == nil {
		d.Memory = &Memory{}
	}
	m := d.Memory
	if m.Guest != nil {
		return
	}
	requested, limit := d.Resources.Requests[corev1.ResourceMemory], d.Resources.Limits[corev1.ResourceMemory]
	switch {
	case !requested.IsZero():
		m.Guest = ptr.To(requested.DeepCopy())
	case !limit.IsZero():
		m.Guest = ptr.To(limit.DeepCopy())
	case m.Hugepages != nil:
		if size, err := resource.ParseQuantity(m.Hugepages.PageSize); err == nil {
			m.Guest = &size
		}
	}
}

// on turns on a switch that its presence means to turn on.
func on(enabled **bool) {
	if *enabled == nil {
		*enabled = ptr.To(true)
	}
}

func state(f *FeatureState) {
	if f != nil {
		on(&f.Enabled)
	}
}

func defaultFeatures(d *DomainSpec) {
	if d.Features == nil {
		d.Features = &Features{}
	}
	f := d.Features
	on(&f.ACPI.Enabled)
	state(f.SMM)
	state(f.Pvspinlock)
	if f.APIC != nil {
		on(&f.APIC.Enabled)
	}
	if f.HypervPassthrough != nil {
		on(&f.HypervPassthrough.Enabled)
	}
	if f.Hyperv != nil {
		defaultHyperv(f.Hyperv)
		if e := f.Hyperv.EVMCS; e != nil && *e.Enabled {
			requireVMX(d.CPU)
		}
	}
}

// requireVMX asks for the virtualization of Intel, which enlightened VMCSs are a part of, whatever else is said of it. The list
// is replaced, not written to, as are maps.
func requireVMX(c *CPU) {
	c.Features = slices.Clone(c.Features)
	for i := range c.Features {
		if c.Features[i].Name == vmx {
			c.Features[i].Policy = requirePolicy
			return
		}
	}
	c.Features = append(c.Features, CPUFeature{Name: vmx, Policy: requirePolicy})
}

// defaultHyperv turns on what is named, and what that builds on unless it is turned off by name.
func defaultHyperv(h *FeatureHyperv) {
	for _, f := range []*FeatureState{h.EVMCS, h.Frequencies, h.IPI, h.Reenlightenment, h.Relaxed, h.HypervReset, h.Runtime, h.Synic, h.VAPIC, h.Vpindex} {
		state(f)
	}
	if h.Synictimer != nil {
		on(&h.Synictimer.Enabled)
		state(h.Synictimer.Direct)
	}
	if h.Tlbflush != nil {
		on(&h.Tlbflush.Enabled)
		state(h.Tlbflush.Direct)
		state(h.Tlbflush.Extended)
	}
	if h.Vendorid != nil {
		on(&h.Vendorid.Enabled)
	}
	if h.Spinlocks != nil {
		on(&h.Spinlocks.Enabled)
		if *h.Spinlocks.Enabled && h.Spinlocks.Spinlocks == nil {
			h.Spinlocks.Spinlocks = ptr.To(DefaultSpinlockRetries)
		}
	}
	need := func(f **FeatureState) {
		if *f == nil {
			*f = &FeatureState{Enabled: ptr.To(true)}
		}
	}
	is := func(f *FeatureState) bool { return f != nil && *f.Enabled }
	if h.Synictimer != nil && *h.Synictimer.Enabled {
		need(&h.Synic)
	}
	if is(h.Synic) || is(h.IPI) || h.Tlbflush != nil && *h.Tlbflush.Enabled {
		need(&h.Vpindex)
	}
	if is(h.EVMCS) {
		need(&h.VAPIC)
	}
}

func defaultTimers(c *Clock) {
	if c == nil || c.Timer == nil {
		return
	}
	t := c.Timer
	if t.HPET != nil {
		on(&t.HPET.Present)
	}
	if t.Hyperv != nil {
		on(&t.Hyperv.Present)
	}
	if t.KVM != nil {
		on(&t.KVM.Present)
	}
	if t.PIT != nil {
		on(&t.PIT.Present)
	}
	if t.RTC != nil {
		on(&t.RTC.Present)
	}
}

// defaultDisks gives each volume a disk, each disk a target, each target a bus.
func defaultDisks(spec *VirtualMachineInstanceSpec) {
	devices := &spec.Domain.Devices
	used := map[string]bool{}
	for _, d := range devices.Disks {
		used[d.Name] = true
	}
	for _, f := range devices.Filesystems {
		used[f.Name] = true
	}
	for _, v := range spec.Volumes {
		if used[v.Name] || v.MemoryDump != nil {
			continue
		}
		used[v.Name] = true
		disk := Disk{Name: v.Name}
		if v.Sysprep != nil {
			// Windows Setup looks for its answers on removable media only.
			disk.Cdrom = &CDRomTarget{}
		}
		devices.Disks = append(slices.Clip(devices.Disks), disk)
	}
	metrics := map[string]bool{}
	for _, v := range spec.Volumes {
		metrics[v.Name] = v.DownwardMetrics != nil
	}
	for i := range devices.Disks {
		d := &devices.Disks[i]
		if d.Disk == nil && d.Lun == nil && d.Cdrom == nil {
			d.Disk = &DiskTarget{}
		}
		if d.Disk != nil && d.Disk.Bus == "" {
			d.Disk.Bus = DefaultDiskBus
			if metrics[d.Name] {
				d.Disk.Bus = MetricsDiskBus
			}
		}
		if d.Lun != nil && d.Lun.Bus == "" {
			d.Lun.Bus = DefaultLUNBus
		}
		if c := d.Cdrom; c != nil {
			on(&c.Readonly)
			if c.Bus == "" {
				c.Bus = DefaultDiskBus
			}
			if c.Tray == "" {
				c.Tray = DefaultTray
			}
		}
		if d.BlockSize != nil {
			state(d.BlockSize.MatchVolume)
		}
	}
}

func defaultDevices(d *Devices) {
	for i := range d.Inputs {
		if d.Inputs[i].Bus == "" {
			d.Inputs[i].Bus = DefaultInputBus
		}
		if d.Inputs[i].Type == "" {
			d.Inputs[i].Type = DefaultInputType
		}
	}
	if w := d.Watchdog; w != nil {
		if w.I6300ESB == nil && w.Diag288 == nil {
			w.I6300ESB = &I6300ESBWatchdog{}
		}
		if w.I6300ESB != nil && w.I6300ESB.Action == "" {
			w.I6300ESB.Action = DefaultWatchdogAction
		}
		if w.Diag288 != nil && w.Diag288.Action == "" {
			w.Diag288.Action = DefaultWatchdogAction
		}
	}
	if d.TPM != nil {
		on(&d.TPM.Enabled)
	}
}

// defaultInterfaces gives each interface a model, and the binding that its kind of network has by nature (row P3-NETPOD-12).
func defaultInterfaces(spec *VirtualMachineInstanceSpec) {
	for i := range spec.Domain.Devices.Interfaces {
		f := &spec.Domain.Devices.Interfaces[i]
		if f.Model == "" && f.Sriov == nil {
			f.Model = DefaultInterfaceModel
		}
		for j := range f.Ports {
			if f.Ports[j].Protocol == "" {
				f.Ports[j].Protocol = DefaultPortProtocol
			}
		}
		if f.Bridge != nil || f.Masquerade != nil || f.Sriov != nil || f.PasstBinding != nil || f.Binding != nil || f.Slirp != nil || f.Macvtap != nil || f.Passt != nil {
			continue
		}
		for _, n := range spec.Networks {
			switch {
			case n.Name != f.Name:
			case n.Pod != nil:
				f.Masquerade = &InterfaceMasquerade{}
			case n.Multus != nil:
				f.Bridge = &InterfaceBridge{}
			}
		}
	}
}

func defaultImages(spec *VirtualMachineInstanceSpec) {
	for i := range spec.Volumes {
		if c := spec.Volumes[i].ContainerDisk; c != nil && c.ImagePullPolicy == "" {
			c.ImagePullPolicy = pullPolicy(c.Image)
		}
	}
	if k := spec.Domain.Firmware.KernelBoot; k != nil && k.Container != nil && k.Container.ImagePullPolicy == "" {
		k.Container.ImagePullPolicy = pullPolicy(k.Container.Image)
	}
}

// pullPolicy is that of containers: images whose name does not fix their content are pulled each time.
func pullPolicy(image string) corev1.PullPolicy {
	if strings.Contains(image, "@") {
		return corev1.PullIfNotPresent
	}
	// A colon before the last slash belongs to the registry's port.
	_, tag, tagged := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	if !tagged || tag == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func defaultProbe(p *Probe) {
	if p == nil {
		return
	}
	for _, d := range []struct {
		field **int32
		value int32
	}{{&p.TimeoutSeconds, 1}, {&p.PeriodSeconds, 10}, {&p.SuccessThreshold, 1}, {&p.FailureThreshold, 3}} {
		if *d.field == nil || **d.field == 0 {
			*d.field = ptr.To(d.value)
		}
	}
}
