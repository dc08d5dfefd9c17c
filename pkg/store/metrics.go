package store

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

var (
	sizeBytes = metrics.NewGaugeVec(&metrics.GaugeOpts{
		Name:           "virtplane_store_size_bytes",
		Help:           "Size of the database of this member of the store: its file, what is used of it, and the quota at which writes end.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"part"})
	proved = metrics.NewGauge(&metrics.GaugeOpts{
		Name:           "virtplane_store_proved",
		Help:           "1 while the store has proved to be the right one and objects are served, otherwise 0.",
		StabilityLevel: metrics.ALPHA,
	})
	registerOnce sync.Once
)

// RegisterMetrics makes the package's metrics visible.
func RegisterMetrics() {
	registerOnce.Do(func() { legacyregistry.MustRegister(sizeBytes, proved) })
}

func observeSize(file, used, quota int64) {
	sizeBytes.WithLabelValues("file").Set(float64(file))
	sizeBytes.WithLabelValues("used").Set(float64(used))
	sizeBytes.WithLabelValues("quota").Set(float64(quota))
}
