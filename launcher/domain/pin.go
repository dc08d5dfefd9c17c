package domain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
)

// pin puts QEMU's threads on the CPUs of the node that were chosen for them. QEMU itself is denied that by its sandbox.
func (d *Domain) pin(ctx context.Context, mon *qmp.Client, pins *Pins) error {
	if pins == nil {
		return nil
	}
	cpus, err := mon.QueryCPUs(ctx)
	if err != nil {
		return err
	}
	threads, err := mon.QueryIOThreads(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	qemu := d.qemu
	d.mu.Unlock()
	if qemu == nil {
		return errors.New("pinning CPUs: QEMU has ended")
	}
	all, err := d.Threads(qemu.PID)
	if err != nil {
		return err
	}
	for thread, set := range assign(pins, cpus, threads, all) {
		if err := d.Affinity(thread, set); err != nil {
			return api.Errorf(codes.FailedPrecondition, api.ReasonCPUsUnavailable, "giving thread %d of QEMU the CPUs %v of the node: %w", thread, set, err)
		}
	}
	return nil
}

// assign gives each thread its CPUs.
func assign(pins *Pins, cpus []qmp.CPU, ioThreads []qmp.IOThread, all []int) map[int][]int {
	out := map[int][]int{}
	for _, thread := range all {
		out[thread] = pins.Emulator
	}
	for _, c := range cpus {
		if c.Index < len(pins.VCPUs) {
			out[c.Thread] = []int{pins.VCPUs[c.Index]}
		}
	}
	for i, t := range ioThreads {
		if i < len(pins.IOThreads) {
			out[t.Thread] = []int{pins.IOThreads[i]}
		}
	}
	return out
}

// threadsOf lists the threads of a process.
func threadsOf(pid int) ([]int, error) {
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
	if err != nil {
		return nil, fmt.Errorf("listing threads of QEMU: %w", err)
	}
	var out []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, n)
		}
	}
	return out, nil
}

// setAffinity is the system call.
func setAffinity(thread int, cpus []int) error {
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	err := unix.SchedSetaffinity(thread, &set)
	if errors.Is(err, unix.ESRCH) {
		return nil // a thread that has ended since
	}
	return err
}
