package v1

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Field selectors beside metadata.name and metadata.namespace.
const (
	// VirtualMachineInstancePhaseField selects instances by where they stand.
	VirtualMachineInstancePhaseField = "status.phase"
	// VirtualMachineInstanceNodeField selects the instances of one node; the server keeps an index on it (decision 9).
	VirtualMachineInstanceNodeField = "status.nodeName"
	// VirtualMachineInstanceTargetNodeField selects the instances that migrate to a node.
	VirtualMachineInstanceTargetNodeField = "status.migrationState.targetNode"
	// VirtualMachineStatusField selects virtual machines by the word that the table shows.
	VirtualMachineStatusField = "status.printableStatus"
	// MigrationInstanceField selects the migrations of one instance.
	MigrationInstanceField = "spec.vmiName"
	// MigrationPhaseField selects migrations by where they stand.
	MigrationPhaseField = "status.phase"
)

// SelectableFields names the field selectors of each kind.
func SelectableFields() map[string][]string {
	meta := func(more ...string) []string { return append([]string{"metadata.name", "metadata.namespace"}, more...) }
	return map[string][]string{
		"VirtualMachine": meta(VirtualMachineStatusField),
		"VirtualMachineInstance": meta(VirtualMachineInstancePhaseField, VirtualMachineInstanceNodeField,
			VirtualMachineInstanceTargetNodeField),
		"VirtualMachineInstanceMigration":  meta(MigrationInstanceField, MigrationPhaseField),
		"VirtualMachineInstanceReplicaSet": meta(),
		"VirtualMachineInstancePreset":     meta(),
		"KubeVirt":                         meta(),
	}
}

func init() { localSchemeBuilder.Register(addFieldLabels) }

// addFieldLabels registers the selectors for each version that is served; without that, requests that use them are refused
// before they reach the storage.
func addFieldLabels(scheme *runtime.Scheme) error {
	for kind, selectable := range SelectableFields() {
		convert := func(label, value string) (string, string, error) {
			if !slices.Contains(selectable, label) {
				return "", "", fmt.Errorf("%q is not a field that a %s can be selected by: use %s", label, kind, strings.Join(selectable, ", "))
			}
			return label, value, nil
		}
		for _, gv := range []schema.GroupVersion{SchemeGroupVersion, DeprecatedGroupVersion} {
			if err := scheme.AddFieldLabelConversionFunc(gv.WithKind(kind), convert); err != nil {
				return err
			}
		}
	}
	return nil
}
