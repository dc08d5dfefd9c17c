package app

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/virtplane/virtplane/launcher/api"
)

// goalKiB is what launcher and first process may have resident together, beside a guest that runs.
const goalKiB = 30 << 10

// TestMemory holds the goal that the pod's memory overhead is computed with.
func TestMemory(t *testing.T) {
	p := newPod(t)
	p.mustSync("")
	p.serial().ping()
	for range 50 { // a node agent that asks now and then
		if _, err := p.client.Info(p.context(), &api.InfoRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	before := resident(t, p.launcherPID())
	var first, launcher [3]int
	p.eventually("memory is given back", func() bool {
		first, launcher = resident(t, p.init.Process.Pid), resident(t, p.launcherPID())
		return first[0]+launcher[0] <= goalKiB && launcher[2] < before[2]
	})
	t.Logf("first process %v KiB, launcher %v KiB, before %v (all, anonymous, file)", first, launcher, before)
}

var rssLine = regexp.MustCompile(`(?m)^(?:VmRSS|RssAnon|RssFile):\s+(\d+) kB$`)

// resident gives a process' resident memory in KiB: all, anonymous, of files.
func resident(t *testing.T, pid int) [3]int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out [3]int
	for i, m := range rssLine.FindAllSubmatch(raw, 3) {
		if out[i], err = strconv.Atoi(string(m[1])); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
