package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// NUMANode is a part of the guest's memory with the virtual processors that are near it.
type NUMANode struct {
	MiB int64
	// CPUs are virtual processors, counted from 0.
	CPUs []int
	// HostCPUs are those of the host that touch the memory first, which puts it near them.
	HostCPUs []int
}

// memoryID is the name of memory that is not divided, the same as that of QEMU's own.
const memoryID = "pc.ram"

func (m *Machine) checkMemory() error {
	if m.MemoryMiB < 1 || m.MemoryMiB > 4<<20 {
		return fmt.Errorf("memory must be from 1 MiB to 4 TiB, not %d MiB", m.MemoryMiB)
	}
	if m.HugePage < 0 || m.HugePage&(m.HugePage-1) != 0 {
		return fmt.Errorf("memory: huge pages of %d bytes: the size must be a power of two", m.HugePage)
	}
	if m.HugePage > 0 && m.MemoryMiB<<20%m.HugePage != 0 {
		return fmt.Errorf("memory: %d MiB is no multiple of huge pages of %d bytes", m.MemoryMiB, m.HugePage)
	}
	if len(m.NUMA) == 0 {
		return nil
	}
	sum, seen, cpus := int64(0), map[int]bool{}, m.CPU.Count()
	for i, n := range m.NUMA {
		if n.MiB < 1 || m.HugePage > 0 && n.MiB<<20%m.HugePage != 0 {
			return fmt.Errorf("memory: NUMA node %d has %d MiB, which must be a multiple of the page size", i, n.MiB)
		}
		sum += n.MiB
		for _, c := range n.CPUs {
			if c < 0 || c >= cpus || seen[c] {
				return fmt.Errorf("memory: NUMA node %d has virtual processor %d, which is not there or that of another node", i, c)
			}
			seen[c] = true
		}
	}
	if sum != m.MemoryMiB || len(seen) != cpus {
		return fmt.Errorf("memory: NUMA nodes have %d of %d MiB and %d of %d virtual processors", sum, m.MemoryMiB, len(seen), cpus)
	}
	return nil
}

// memoryBacked tells whether -machine names the memory instead of leaving it to QEMU.
func (m *Machine) memoryBacked() bool { return len(m.NUMA) == 0 && (m.HugePage > 0 || m.SharedMemory) }

// memoryArgs gives the size, where the memory comes from, and its nodes.
func (m *Machine) memoryArgs() []string {
	args := []string{"-m", fmt.Sprintf("%dM", m.MemoryMiB)}
	if m.memoryBacked() {
		args = append(args, "-object", m.memoryBackend(memoryID, m.MemoryMiB).String())
	}
	for i, n := range m.NUMA {
		id := fmt.Sprintf("ram-node%d", i)
		backend := m.memoryBackend(id, n.MiB)
		if m.HugePage > 0 && len(n.HostCPUs) > 0 {
			// The kernel gives a page that is near whoever touches it first. Binding memory by name would need a privilege.
			context := fmt.Sprintf("prealloc-node%d", i)
			args = append(args, "-object", newProps("qom-type", "thread-context").set("id", context).set("cpu-affinity", n.HostCPUs).String())
			backend.set("prealloc-context", context)
		}
		args = append(args, "-object", backend.String(), "-numa", fmt.Sprintf("node,nodeid=%d%s,memdev=%s", i, cpuList(n.CPUs), id))
	}
	return args
}

// memoryBackend describes memory of its own file descriptor: it needs no file system of huge pages in the pod.
func (m *Machine) memoryBackend(id string, mib int64) *props {
	p := newProps("qom-type", "memory-backend-memfd").set("id", id).set("size", mib<<20)
	if m.HugePage > 0 {
		p.set("hugetlb", true).set("hugetlbsize", m.HugePage).set("prealloc", true)
	}
	return p.set("share", m.SharedMemory)
}

// cpuList gives ranges, each with its key: ",cpus=0-3,cpus=8".
func cpuList(cpus []int) string {
	var b strings.Builder
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		b.WriteString(",cpus=" + strconv.Itoa(cpus[i]))
		if j > i {
			b.WriteString("-" + strconv.Itoa(cpus[j]))
		}
		i = j + 1
	}
	return b.String()
}
