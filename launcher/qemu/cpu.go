package qemu

import (
	"fmt"
	"regexp"
	"strings"
)

// CPU is the model and the topology of the virtual processors.
type CPU struct {
	// Model is QEMU's name of it: "host", "max", "Skylake-Server".
	Model string
	// Features are switched on or off in this order, Hyper-V's and KVM's included.
	Features []CPUFeature

	Sockets, Cores, Threads int
	// MaxSockets is how many sockets there are in all, those included that are still empty; 0 for no more than Sockets.
	MaxSockets int
}

// CPUFeature is one property of the CPU model.
type CPUFeature struct {
	Name string
	// Value is mostly "on" or "off".
	Value string
}

// UsualVCPUs is what a machine takes without a unit that remaps interrupts; with one, q35 takes maxVCPUs.
const (
	UsualVCPUs = 255
	maxVCPUs   = 288
)

// MaxVCPUs is how many virtual processors a machine of this kind can have.
func MaxVCPUs(accel Accel, machineType string) int {
	if accel == KVM && strings.Contains(machineType, "q35") {
		return maxVCPUs
	}
	return UsualVCPUs
}

var cpuWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Count is the number of virtual processors.
func (c CPU) Count() int { return c.Sockets * c.Cores * c.Threads }

// Most is the number of virtual processors when all sockets are full.
func (c CPU) Most() int { return max(c.Sockets, c.MaxSockets) * c.Cores * c.Threads }

// Validate tells what QEMU would not take.
func (c CPU) Validate() error {
	if !cpuWord.MatchString(c.Model) {
		return fmt.Errorf("cpu: model %q is no name of a model", c.Model)
	}
	for _, f := range c.Features {
		if !cpuWord.MatchString(f.Name) {
			return fmt.Errorf("cpu: feature %q is no name of a feature", f.Name)
		}
		if !cpuWord.MatchString(f.Value) {
			return fmt.Errorf("cpu: feature %s: value %q must be a word", f.Name, f.Value)
		}
	}
	for _, n := range []int{c.Sockets, c.Cores, c.Threads, max(c.MaxSockets, 1)} {
		if n < 1 || n > maxVCPUs {
			return fmt.Errorf("cpu: sockets, cores and threads must be from 1 to %d, not %d, %d and %d", maxVCPUs, c.Sockets, c.Cores, c.Threads)
		}
	}
	if c.Most() > maxVCPUs {
		return fmt.Errorf("cpu: sockets times cores times threads must be at most %d, not %d", maxVCPUs, c.Most())
	}
	return nil
}

// Args gives -cpu and -smp.
func (c CPU) Args() []string {
	var b strings.Builder
	b.WriteString(c.Model)
	for _, f := range c.Features {
		fmt.Fprintf(&b, ",%s=%s", f.Name, f.Value)
	}
	count := fmt.Sprint(c.Count())
	if c.Most() > c.Count() {
		count += fmt.Sprintf(",maxcpus=%d", c.Most())
	}
	return []string{"-cpu", b.String(), "-smp", fmt.Sprintf("%s,sockets=%d,cores=%d,threads=%d", count, max(c.Sockets, c.MaxSockets), c.Cores, c.Threads)}
}
