package support

import (
	_ "embed"
	"strings"
	"sync"
)

// qemuText has what the QEMU of the launcher's image knows, which is Debian 12's 7.2: machine types (-machine help), CPU models
// (-cpu help) and the properties of a CPU that are switches (qom-list-properties max-x86_64-cpu), a line each.
//
//go:embed qemu.txt
var qemuText string

var qemuKnows = sync.OnceValue(func() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for line := range strings.Lines(qemuText) {
		what, names, _ := strings.Cut(line, ":")
		out[what] = map[string]bool{}
		for _, name := range strings.Fields(names) {
			out[what][name] = true
		}
	}
	return out
})

// KnownMachineType says whether QEMU has the machine type.
func KnownMachineType(name string) bool { return qemuKnows()["machines"][name] }

// KnownCPUModel says whether QEMU has the CPU model.
func KnownCPUModel(name string) bool { return qemuKnows()["models"][name] }

// KnownCPUFeature says whether QEMU has a switch of the CPU by that name.
func KnownCPUFeature(name string) bool { return qemuKnows()["features"][name] }
