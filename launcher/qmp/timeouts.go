package qmp

import "time"

// DefaultTimeout is what a command may take that the table does not name. It is long for a question that QEMU answers
// in a millisecond because a node that starts fifty guests at once under emulation is slow, not broken.
const DefaultTimeout = 15 * time.Second

// timeouts holds the commands that QEMU's main loop may work on for longer: they open files or wait for devices.
// A deadline of the caller's context that comes sooner wins.
var timeouts = map[string]time.Duration{
	"blockdev-add":          time.Minute,
	"blockdev-del":          30 * time.Second,
	"device_add":            30 * time.Second,
	"device_del":            30 * time.Second,
	"netdev_add":            30 * time.Second,
	"object-add":            30 * time.Second,
	"qmp_capabilities":      30 * time.Second,
	"query-qmp-schema":      30 * time.Second,
	"quit":                  5 * time.Second,
	"query-status":          10 * time.Second,
	"system_powerdown":      5 * time.Second,
	"inject-nmi":            5 * time.Second,
	"screendump":            30 * time.Second,
	"dump-guest-memory":     10 * time.Minute,
	"human-monitor-command": 30 * time.Second,
}

// TimeoutOf tells how long a command may take.
func TimeoutOf(command string) time.Duration {
	if d, ok := timeouts[command]; ok {
		return d
	}
	return DefaultTimeout
}
