package harness

import (
	"os"
	"testing"
)

// unproven is the variable that runs tests which have not passed yet.
const unproven = "VIRTPLANE_UNPROVEN"

// Unproven skips a test that was written with its feature and has not passed on the local cluster yet. Rows that only such a
// test names are not covered.
func Unproven(t *testing.T) {
	t.Helper()
	if os.Getenv(unproven) == "" {
		t.Skipf("has not passed on the local cluster yet: %s=1 runs it", unproven)
	}
}
