package convert

import (
	"cmp"
	"slices"

	"github.com/virtplane/virtplane/launcher/qemu"
	"github.com/virtplane/virtplane/pkg/machine"
)

// HostCPU is a CPU of the node, and where it is.
type HostCPU struct {
	// ID is its number; Node, Package and Core are those of its memory, its chip and its core, which threads share.
	ID, Node, Package, Core int
}

// Pins places QEMU's threads on CPUs of the node.
type Pins struct {
	// VCPUs has the CPU of each virtual one.
	VCPUs []int `json:"vcpus"`
	// IOThreads has the CPU of each disk thread that has one for itself.
	IOThreads []int `json:"ioThreads,omitempty"`
	// Emulator is where all other threads run.
	Emulator []int `json:"emulator"`
}

// placement gives each virtual CPU one of the pod's, and the guest the memory topology that comes of it.
func (b *builder) placement() {
	s := b.domain.CPU
	if s == nil || !isTrue(s.DedicatedCPUPlacement) {
		return
	}
	isolated, pool, cpus := isTrue(s.IsolateEmulatorThread), int(machine.PoolThreads(b.domain)), b.m.CPU.Count()
	// A machine with more CPUs than any is refused as a whole.
	if want := int(machine.DedicatedCPUs(b.domain)); len(b.CPUs) != want || cpus > want || b.m.CPU.Validate() != nil {
		b.invalid("spec.domain.cpu.dedicatedCpuPlacement", "needs %d CPUs of the node and the pod has %d", want, len(b.CPUs))
		return
	}
	order := arrange(b.CPUs, b.m.CPU.Threads)
	pins := &Pins{}
	for _, c := range order[:cpus] {
		pins.VCPUs = append(pins.VCPUs, c.ID)
	}
	rest := order[cpus:]
	for _, c := range rest[:pool] {
		pins.IOThreads = append(pins.IOThreads, c.ID)
	}
	if isolated {
		pins.Emulator = []int{rest[pool].ID}
	} else {
		for _, c := range order[:cpus] {
			pins.Emulator = append(pins.Emulator, c.ID)
		}
		slices.Sort(pins.Emulator)
	}
	b.result.Pins = pins
	if s.NUMA != nil && s.NUMA.GuestMappingPassthrough != nil {
		b.numa(order[:cpus])
	}
}

// arrange orders CPUs so that neighbours share memory and cores. Where the guest's cores have threads, those of the node that
// are whole come first, so that threads of one core of the guest are threads of one core of the node.
func arrange(cpus []HostCPU, threads int) []HostCPU {
	order := slices.Clone(cpus)
	type core struct{ node, pkg, core int }
	at := func(c HostCPU) core { return core{c.Node, c.Package, c.Core} }
	siblings := map[core]int{}
	for _, c := range order {
		siblings[at(c)]++
	}
	whole := func(c HostCPU) int {
		if threads > 1 && siblings[at(c)]%threads != 0 {
			return 1
		}
		return 0
	}
	slices.SortFunc(order, func(x, y HostCPU) int {
		return cmp.Or(cmp.Compare(whole(x), whole(y)), cmp.Compare(x.Node, y.Node), cmp.Compare(x.Package, y.Package),
			cmp.Compare(x.Core, y.Core), cmp.Compare(x.ID, y.ID))
	})
	return order
}

// numa divides the guest as the CPUs it runs on are divided.
func (b *builder) numa(cpus []HostCPU) {
	if b.m.HugePage == 0 {
		b.invalid("spec.domain.cpu.numa.guestMappingPassthrough", "needs memory.hugepages")
		return
	}
	nodes := map[int]*qemu.NUMANode{}
	var order []int
	for i, c := range cpus {
		n := nodes[c.Node]
		if n == nil {
			n = &qemu.NUMANode{}
			nodes[c.Node] = n
			order = append(order, c.Node)
		}
		n.CPUs, n.HostCPUs = append(n.CPUs, i), append(n.HostCPUs, c.ID)
	}
	slices.Sort(order)
	pageMiB := b.m.HugePage >> 20
	pages := b.m.MemoryMiB / pageMiB
	if pages < int64(len(order)) {
		b.invalid("spec.domain.memory.hugepages.pageSize", "the guest's memory must be a page for each of %d NUMA nodes, or more", len(order))
		return
	}
	for i, host := range order {
		share := pages / int64(len(order))
		if int64(i) < pages%int64(len(order)) {
			share++
		}
		n := nodes[host]
		n.MiB = share * pageMiB
		slices.Sort(n.HostCPUs)
		b.m.NUMA = append(b.m.NUMA, *n)
	}
}
