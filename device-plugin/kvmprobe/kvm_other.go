//go:build !(linux && amd64)

package kvmprobe

import (
	"fmt"
	"runtime"
	"time"
)

func measure(string) (time.Duration, error) {
	return 0, fmt.Errorf("the probe has no loop for %s/%s", runtime.GOOS, runtime.GOARCH)
}
