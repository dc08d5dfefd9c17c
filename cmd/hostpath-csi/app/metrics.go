package app

import (
	"context"
	"time"

	"k8s.io/component-base/metrics"

	"github.com/virtplane/virtplane/csi-driver/pool"
)

const collectTimeout = 5 * time.Second

var (
	poolTotal = metrics.NewDesc("virtplane_hostpath_pool_capacity_bytes", "Size of the file system of a storage pool.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
	poolAvailable = metrics.NewDesc("virtplane_hostpath_pool_available_bytes", "What new volumes of a storage pool can still be promised.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
	poolPromised = metrics.NewDesc("virtplane_hostpath_pool_promised_bytes", "Sum of the sizes of all volumes of a storage pool.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
	poolVolumes = metrics.NewDesc("virtplane_hostpath_pool_volumes", "Number of volumes of a storage pool.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
	poolUsable = metrics.NewDesc("virtplane_hostpath_pool_usable", "1 if the directory of a storage pool can be used.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
	poolShared = metrics.NewDesc("kubevirt_hpp_pool_path_shared_with_os", "1 if a storage pool lies on the file system of the kubelet's directory.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
)

// poolCollector asks the pools when metrics are read.
type poolCollector struct {
	metrics.BaseStableCollector
	pools *pool.Pools
	osDir string
}

func (c *poolCollector) DescribeWithStability(ch chan<- *metrics.Desc) {
	for _, desc := range []*metrics.Desc{poolTotal, poolAvailable, poolPromised, poolVolumes, poolUsable, poolShared} {
		ch <- desc
	}
}

func (c *poolCollector) CollectWithStability(ch chan<- metrics.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	for _, spec := range c.pools.Specs() {
		gauge := func(desc *metrics.Desc, value float64) {
			ch <- metrics.NewLazyConstMetric(desc, metrics.GaugeValue, value, spec.Name)
		}
		capacity, err := c.pools.Capacity(ctx, spec.Name)
		gauge(poolUsable, number(err == nil))
		if err != nil {
			continue
		}
		gauge(poolTotal, float64(capacity.Total))
		gauge(poolAvailable, float64(capacity.Available))
		gauge(poolPromised, float64(capacity.Promised))
		gauge(poolVolumes, float64(capacity.Volumes))
		if shared, err := c.pools.SharesFileSystem(ctx, spec.Name, c.osDir); err == nil {
			gauge(poolShared, number(shared))
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
