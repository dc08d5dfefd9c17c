package app

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"k8s.io/component-base/metrics"

	"github.com/virtplane/virtplane/csi-driver/mount"
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
	poolUnmeasured = metrics.NewDesc("virtplane_hostpath_pool_unmeasured_volumes", "Number of volumes of a storage pool that could not be measured, since they have too many files or too deep directories.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
	poolUsable = metrics.NewDesc("virtplane_hostpath_pool_usable", "1 if the directory of a storage pool can be used.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
	poolShared = metrics.NewDesc("kubevirt_hpp_pool_path_shared_with_os", "1 if a storage pool lies on the root file system or that of the kubelet's directory.",
		[]string{"pool"}, nil, metrics.ALPHA, "")
)

// poolCollector asks the pools when metrics are read.
type poolCollector struct {
	metrics.BaseStableCollector
	pools *pool.Pools
	osDir string
}

func (c *poolCollector) DescribeWithStability(ch chan<- *metrics.Desc) {
	for _, desc := range []*metrics.Desc{poolTotal, poolAvailable, poolPromised, poolVolumes, poolUnmeasured, poolUsable, poolShared} {
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
		gauge(poolUnmeasured, float64(capacity.Unmeasured))
		if user, err := sharedWith(ctx, c.pools, spec, c.osDir); err == nil {
			gauge(poolShared, number(user != ""))
		}
	}
}

// sharedWith says what else of the node uses the file system of a pool, nothing being "".
func sharedWith(ctx context.Context, pools *pool.Pools, spec pool.Spec, kubeletDir string) (string, error) {
	kubelet, err := pools.SharesFileSystem(ctx, spec.Name, kubeletDir)
	// A kubelet that has no directory has nothing on any file system.
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if kubelet {
		return "the kubelet", nil
	}
	root, err := mount.OnRoot(spec.Path)
	if err != nil || !root {
		return "", err
	}
	return "the node's root", nil
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
