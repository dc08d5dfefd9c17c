package support

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// Gates are the feature gates that have an effect.
var Gates = []string{"DownwardMetrics", "HostDisk", machine.HypervStrictCheckGate, "VSOCK"}

// Cluster tells all that the cluster's KubeVirt object asks for and that has no effect.
func Cluster(spec *virtv1.KubeVirtSpec) []Reason {
	var out []Reason
	for _, r := range clusterRows {
		visit(reflect.ValueOf(spec), strings.TrimPrefix(r.Field, "spec."), "spec", true, func(path string) {
			out = append(out, Reason{Field: path, Reason: r.Reason, Kind: r.Kind, Message: r.Why})
		})
	}
	c := &spec.Configuration
	if s := c.EvictionStrategy; s != nil && *s != "" && *s != virtv1.EvictionStrategyNone {
		out = append(out, Reason{Field: "spec.configuration.evictionStrategy", Reason: ReasonField, Kind: NoEffect, Message: noMigrates})
	}
	if d := c.DeveloperConfiguration; d != nil {
		for i, gate := range d.FeatureGates {
			if !slices.Contains(Gates, gate) {
				out = append(out, Reason{
					Field: fmt.Sprintf("spec.configuration.developerConfiguration.featureGates[%d]", i), Reason: ReasonField, Kind: NoEffect,
					Message: fmt.Sprintf("the gate %s has no effect: this version has what it serves without a gate, but for %s", gate, strings.Join(Gates, ", ")),
				})
			}
		}
	}
	return out
}

// ClusterRows lists the lines of the table for the KubeVirt object.
func ClusterRows() []Row {
	return append(slices.Clone(clusterRows),
		Row{Field: "spec.configuration.evictionStrategy", When: "LiveMigrate, LiveMigrateIfPossible, External", Reason: ReasonField, Kind: NoEffect, Why: noMigrates},
		Row{Field: "spec.configuration.developerConfiguration.featureGates[]", When: "others than " + strings.Join(Gates, ", "), Reason: ReasonField, Kind: NoEffect,
			Why: "a gate that is not known has no effect"})
}

const (
	manifestsPlace = "the manifests place and size the components: change their Deployments and DaemonSets, or a kustomization of them"
	noMonitoring   = "no objects of a monitoring system are made: make them for the components' port metrics"
)

func without(field, why string) Row {
	return Row{Field: "spec." + field, Reason: ReasonField, Kind: NoEffect, Why: why}
}

// clusterRows is the table for the KubeVirt object. All of it is without effect, whatever the value.
var clusterRows = []Row{
	without("certificateRotateStrategy", "certificates live and are renewed as this release has them"),
	without("customizeComponents", manifestsPlace),
	without("imagePullSecrets[]", "images of components are pulled as the manifests say: add imagePullSecrets to the service accounts"),
	without("infra", manifestsPlace),
	without("workloads", manifestsPlace),
	without("monitorAccount", noMonitoring),
	without("monitorNamespace", noMonitoring),
	without("serviceMonitorNamespace", noMonitoring),
	without("productComponent", "components have the labels of the manifests"),
	without("productName", "components have the labels of the manifests"),
	without("productVersion", "components have the labels of the manifests"),
	without("synchronizationPort", "instances are not moved between clusters"),
	without("uninstallStrategy", "nothing is uninstalled by deleting this object: delete the manifests"),
	without("workloadUpdateStrategy", "running instances keep their launcher until they are started anew"),
	without("configuration.apiConfiguration", "the rates of clients are those of the release"),
	without("configuration.confidentialCompute", "encryption of a guest's memory is not supported"),
	without("configuration.hypervisors[]", "guests run on KVM, or emulated with useEmulation"),
	without("configuration.persistentReservationConfiguration", "persistent reservations need a privileged helper on the node, which there is none of"),
	without("configuration.roleAggregationStrategy", "the roles are those of the manifests"),
	without("configuration.virtTemplateDeployment", "templates of machines are not served"),
	without("configuration.controllerConfiguration", "the rates of clients are those of the release"),
	without("configuration.handlerConfiguration", "the rates of clients are those of the release"),
	without("configuration.webhookConfiguration", "there are no webhooks"),
	without("configuration.commonInstancetypesDeployment", "instance types are not served"),
	without("configuration.instancetype", "instance types are not served"),
	without("configuration.changedBlockTrackingLabelSelectors", "changed blocks are not tracked; a backup reads the whole disk"),
	without("configuration.defaultRuntimeClass", "pods of instances run in the runtime class that the cluster has by default"),
	without("configuration.ksmConfiguration", "merging of pages is left to the node's administrator"),
	without("configuration.liveUpdateConfiguration", "a running instance is not changed: what is edited holds from the next start"),
	without("configuration.vmRolloutStrategy", "a running instance is not changed: what is edited holds from the next start"),
	without("configuration.mediatedDevicesConfiguration", noDevices),
	without("configuration.permittedHostDevices", noDevices),
	without("configuration.memBalloonStatsPeriod", "guests are not asked for figures of their memory by a period"),
	without("configuration.migrations", "instances are not migrated"),
	without("configuration.network.binding", "network binding plugins are not called: use masquerade"),
	without("configuration.network.permitSlirpInterface", "slirp is no longer supported by the API: use masquerade"),
	without("configuration.ovmfPath", "firmware is that of the launcher's image"),
	without("configuration.seccompConfiguration", "pods of instances have the profile RuntimeDefault"),
	without("configuration.selinuxLauncherType", "pods of instances have the type that the container runtime gives them"),
	without("configuration.smbios", "guests see the maker that the reference has by default"),
	without("configuration.supportContainerResources[]", "the resources of helper containers are those of the release"),
	without("configuration.supportedGuestAgentVersions[]", "agents are judged by the commands that they have, not by their version"),
	without("configuration.tlsConfiguration", "TLS is of version 1.2 or newer, with the ciphers of the release"),
	without("configuration.virtualMachineOptions.disableFreePageReporting", "set the annotation kubevirt.io/free-page-reporting-disabled of an instance"),
	without("configuration.developerConfiguration.pvcTolerateLessSpaceUpToPercent", "a claim's disk has the size that its status says"),
	without("configuration.developerConfiguration.minimumReservePVCBytes", "a claim's disk has the size that its status says"),
	without("configuration.developerConfiguration.diskVerification", "the limits of looking at a disk are those of the release"),
	without("configuration.developerConfiguration.clusterProfiler", "the components are not profiled together"),
	without("configuration.developerConfiguration.minimumClusterTSCFrequency", "nodes are not chosen by the frequency of their time stamp counter"),
}
