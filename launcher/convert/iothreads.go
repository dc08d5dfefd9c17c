package convert

import (
	"fmt"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Policies of how disks share threads.
const (
	threadsShared = "shared"
	threadsAuto   = "auto"
	threadsPool   = "supplementalPool"
)

// diskThreads gives disks their threads: those of their own come after those that are shared.
type diskThreads struct {
	// shared is how many are for all disks that want none of their own; next is the last of them that was given out.
	shared, next int
	// own counts those that one disk has for itself; pool says that none has.
	own  int
	pool bool
}

// ioThreads decides how many threads serve disks. Without a policy, and without a disk that wants a thread for itself, QEMU's
// own does it.
func (b *builder) ioThreads() {
	own, others, scsi := 0, 0, false
	for i, d := range disksOf(b.VMI) {
		_, bus := target(&d)
		switch {
		case isTrue(d.DedicatedIOThread) && bus != qemu.BusVirtio:
			b.invalid(fmt.Sprintf("spec.domain.devices.disks[%d].dedicatedIOThread", i), "needs bus virtio, not %s", bus)
		case isTrue(d.DedicatedIOThread):
			own++
		case bus == qemu.BusVirtio:
			others++
		case bus == qemu.BusSCSI && !scsi:
			scsi = true // the controller has one thread for all its disks
			others++
		}
	}
	limit := 1
	switch policy := b.domain.IOThreadsPolicy; policy {
	case "":
		if own == 0 {
			return
		}
	case threadsShared:
	case threadsAuto:
		// Two threads for each of the guest's CPUs are the most that it can keep busy. Those that have the emulator's CPU to
		// themselves have but one.
		if c := b.domain.CPU; c == nil || !isTrue(c.IsolateEmulatorThread) {
			limit = max(2*b.m.CPU.Count()-own, 1)
		}
	case threadsPool:
		const field = "spec.domain.ioThreads.supplementalPoolThreadCount"
		n := b.domain.IOThreads
		if n == nil || n.SupplementalPoolThreadCount == nil || *n.SupplementalPoolThreadCount < 1 || *n.SupplementalPoolThreadCount > machine.MaxPoolThreads {
			b.invalid(field, "must be from 1 to %d", machine.MaxPoolThreads)
			return
		}
		// A disk has one of them: this QEMU cannot spread the queues of one disk over several.
		b.threads = diskThreads{shared: int(machine.PoolThreads(b.domain)), pool: true}
		b.m.IOThreads, own = b.threads.shared, 0
	default:
		b.unsupported("spec.domain.ioThreadsPolicy", "%q is not supported, must be shared, auto or supplementalPool", policy)
		return
	}
	if !b.threads.pool {
		b.threads.shared = min(others, limit)
		b.m.IOThreads = b.threads.shared + own
	}
	if scsi {
		b.m.SCSIThread = b.threads.turn()
	}
}

// of gives a disk on virtio its thread, counted from 1, or 0 for QEMU's own.
func (t *diskThreads) of(d *virtv1.Disk) int {
	if isTrue(d.DedicatedIOThread) && !t.pool {
		t.own++
		return t.shared + t.own
	}
	return t.turn()
}

func (t *diskThreads) turn() int {
	if t.shared == 0 {
		return 0
	}
	t.next = t.next%t.shared + 1
	return t.next
}
