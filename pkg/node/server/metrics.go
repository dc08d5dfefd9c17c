package server

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Types of streams, as a label has them.
const (
	typeConsole     = "console"
	typeVNC         = "vnc"
	typeUSBRedir    = "usbredir"
	typeVSOCK       = "vsock"
	typePortForward = "portforward"
)

var streamTypes = []string{typeConsole, typeVNC, typeUSBRedir, typeVSOCK, typePortForward}

// lastConnection has series only for instances of this node; ForgetConnections removes them.
var lastConnection = metrics.NewGaugeVec(&metrics.GaugeOpts{
	Namespace: "kubevirt", Subsystem: "vmi", Name: "last_api_connection_timestamp_seconds", StabilityLevel: metrics.ALPHA,
	Help: "When a client last connected to a stream of an instance, in seconds since 1970.",
}, []string{"namespace", "name", "type"})

// RegisterMetrics adds the metrics of the package to the registry of the process.
func RegisterMetrics() {
	legacyregistry.MustRegister(lastConnection)
}

// ForgetConnections removes what is told of an instance that has left the node.
func ForgetConnections(instance types.NamespacedName) {
	for _, kind := range streamTypes {
		lastConnection.Delete(map[string]string{"namespace": instance.Namespace, "name": instance.Name, "type": kind})
	}
}

// connected notes that a client has connected, unless the instance has left meanwhile.
func (s *Server) connected(vmi *virtv1.VirtualMachineInstance, kind string) {
	lastConnection.WithLabelValues(vmi.Namespace, vmi.Name, kind).SetToCurrentTime()
	now, _, _, err := s.machines.Machine(vmi.Namespace, vmi.Name)
	if err != nil || streamable(now) != nil {
		ForgetConnections(types.NamespacedName{Namespace: vmi.Namespace, Name: vmi.Name})
	}
}
