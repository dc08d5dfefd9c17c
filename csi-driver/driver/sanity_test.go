package driver_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

// TestSanity is the CSI project's own suite, against everything that the driver advertises.
func TestSanity(t *testing.T) {
	b := newBox(t)
	config := sanity.NewTestConfig()
	config.Address = b.socket
	config.TargetPath = filepath.Join(b.kubelet, "target")
	config.StagingPath = filepath.Join(b.kubelet, "staging")
	config.TestVolumeSize = 64 << 20
	config.TestVolumeParameters = map[string]string{driver.ParameterPool: "local"}
	// The driver makes the last directory itself, as the kubelet expects of drivers.
	config.CreateTargetDir = func(path string) (string, error) { return path, os.MkdirAll(filepath.Dir(path), 0o750) }
	sanity.Test(t, config)
}
