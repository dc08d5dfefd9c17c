package support

import (
	"encoding/json"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// served are the fields of the KubeVirt object that have an effect; a name that ends in ".*" takes in all below it.
var served = strings.Fields(`
	imagePullPolicy imageRegistry imageTag
	configuration.additionalGuestMemoryOverheadRatio configuration.architectureConfiguration.* configuration.autoCPULimitNamespaceLabelSelector.*
	configuration.cpuModel configuration.cpuRequest configuration.emulatedMachines configuration.evictionStrategy configuration.imagePullPolicy
	configuration.machineType configuration.minCPUModel configuration.obsoleteCPUModels.* configuration.virtualMachineInstancesPerNode
	configuration.virtualMachineOptions.disableSerialConsoleLog.* configuration.vmStateStorageClass
	configuration.network.defaultNetworkInterface configuration.network.permitBridgeInterfaceOnPodNetwork
	configuration.developerConfiguration.cpuAllocationRatio configuration.developerConfiguration.disabledFeatureGates configuration.developerConfiguration.featureGates
	configuration.developerConfiguration.logVerbosity.* configuration.developerConfiguration.memoryOvercommit configuration.developerConfiguration.nodeSelectors.*
	configuration.developerConfiguration.useEmulation
`)

// TestEveryClusterFieldIsDecided walks the type: a field that is added there must have an effect, or a line of the table.
func TestEveryClusterFieldIsDecided(t *testing.T) {
	rest := map[string]bool{}
	for _, s := range served {
		rest[strings.TrimSuffix(s, ".*")] = true
	}
	for _, r := range clusterRows {
		field := strings.TrimSuffix(strings.TrimPrefix(r.Field, "spec."), "[]")
		if rest[field] {
			t.Errorf("%s has an effect, and a line that says it has none", field)
		}
		rest[field] = true
	}
	var undecided []string
	used := map[string]bool{}
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		if rest[path] {
			used[path] = true
			return
		}
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ.NumField() == 0 {
			undecided = append(undecided, path)
			return
		}
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			walk(typ.Field(i).Type, strings.TrimPrefix(path+"."+name, "."))
		}
	}
	walk(reflect.TypeFor[virtv1.KubeVirtSpec](), "")
	sort.Strings(undecided)
	if len(undecided) > 0 {
		t.Errorf("neither served nor in the table: %s", strings.Join(undecided, " "))
	}
	for path := range rest {
		if !used[path] {
			t.Errorf("there is no field %s", path)
		}
	}
}

func TestCluster(t *testing.T) {
	var s virtv1.KubeVirtSpec
	if got := Cluster(&s); len(got) > 0 {
		t.Errorf("an empty object: %v", got)
	}
	if err := json.Unmarshal([]byte(`{"infra":{"replicas":3},"workloads":{"nodePlacement":{"nodeSelector":{"a":"b"}}},"customizeComponents":{"patches":[{"resourceName":"virt-api"}]},"imagePullPolicy":"Always",
		"configuration":{"migrations":{"bandwidthPerMigration":"64Mi"},"permittedHostDevices":{"pciHostDevices":[{"resourceName":"a/b"}]},"evictionStrategy":"LiveMigrate","cpuModel":"host-model",
		"developerConfiguration":{"featureGates":["HostDisk","GPU","Nonsense"],"useEmulation":true}}}`), &s); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range Cluster(&s) {
		if r.Kind != NoEffect || r.Message == "" {
			t.Errorf("%+v", r)
		}
		got = append(got, r.Field)
	}
	if diff := cmp.Diff([]string{
		"spec.customizeComponents", "spec.infra", "spec.workloads", "spec.configuration.permittedHostDevices", "spec.configuration.migrations", "spec.configuration.evictionStrategy",
		"spec.configuration.developerConfiguration.featureGates[1]", "spec.configuration.developerConfiguration.featureGates[2]",
	}, got); diff != "" {
		t.Error(diff)
	}
}
