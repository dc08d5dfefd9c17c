package node

import (
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

var (
	syncFailures = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: "kubevirt", Subsystem: "virt_handler", Name: "sync_failures_total", StabilityLevel: metrics.ALPHA,
		Help: "Tries to hand an instance to its launcher that failed, by reason.",
	}, []string{"reason"})
	syncDuration = metrics.NewHistogram(&metrics.HistogramOpts{
		Namespace: "kubevirt", Subsystem: "virt_handler", Name: "sync_duration_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time from the launcher's first word to a guest that runs, network included.",
		Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 30, 60},
	})
	launchers = metrics.NewGauge(&metrics.GaugeOpts{
		Namespace: "kubevirt", Subsystem: "virt_handler", Name: "launchers", StabilityLevel: metrics.ALPHA,
		Help: "Launchers of this node that the agent is connected to.",
	})
	// KVMProbe holds what the probe of /dev/kvm measured.
	KVMProbe = metrics.NewGaugeVec(&metrics.GaugeOpts{
		Namespace: "kubevirt", Subsystem: "virt_handler", Name: "kvm_probe_seconds", StabilityLevel: metrics.ALPHA,
		Help: "Best time of the loop that decides whether /dev/kvm is offered; 0 if it did not end.",
	}, []string{"result"})
)

// RegisterMetrics adds the metrics of the package to the registry of the process.
func RegisterMetrics() {
	legacyregistry.MustRegister(syncFailures, syncDuration, launchers, KVMProbe)
}
