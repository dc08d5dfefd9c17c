package machine

import (
	_ "embed"
	"strings"
	"sync"
)

// DefaultMinCPUModel is the model that every node has at least, unless the cluster's configuration names another (row P4-CPU-12).
const DefaultMinCPUModel = "Penryn"

// modelsText has the features of CPU models as QEMU 7.2 defines them, spelled as labels spell them, a model a line. What
// emulation and KVM each add or lack is left out.
//
//go:embed models.txt
var modelsText string

var models = sync.OnceValue(func() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for line := range strings.Lines(modelsText) {
		name, features, _ := strings.Cut(line, ":")
		has := map[string]bool{}
		for _, f := range strings.Fields(features) {
			has[f] = true
		}
		out[name] = has
	}
	return out
})

// BaseFeatures are the CPU features that every node has because the cluster's least model has them: nodes get no label for
// them, and pods do not select by one. Empty is the default model; of a model that is not known nothing is taken for granted.
// The map is not to be changed.
func BaseFeatures(minCPUModel string) map[string]bool {
	if minCPUModel == "" {
		minCPUModel = DefaultMinCPUModel
	}
	return models()[minCPUModel]
}
