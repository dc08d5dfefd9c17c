package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Device is a device node that the plugin offers as a resource.
type Device struct {
	// Resource is the name under which pods ask for it.
	Resource string
	// Node is the path of the device node below /dev, "net/tun".
	Node string
	// Class is the device's directory below /sys, "class/misc/tun"; its file dev holds the right numbers of the node.
	// Empty, or a directory that is missing: nothing is compared.
	Class string
}

// name is part of socket names and device ids.
func (d Device) name() string {
	return strings.ReplaceAll(d.Node, "/", "-")
}

// present says whether the device node is there and is what it should be.
func (d Device) present(devRoot, sysRoot string) error {
	path := filepath.Join(devRoot, d.Node)
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return fmt.Errorf("looking at %s: %w", path, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFCHR {
		return fmt.Errorf("%s is no character device", path)
	}
	if d.Class == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(sysRoot, d.Class, "dev"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // the module is loaded when the node is opened first
	}
	if err != nil {
		return fmt.Errorf("reading the numbers of %s: %w", path, err)
	}
	major, minor, ok := strings.Cut(strings.TrimSpace(string(data)), ":")
	wantMajor, majorErr := strconv.ParseUint(major, 10, 32)
	wantMinor, minorErr := strconv.ParseUint(minor, 10, 32)
	if !ok || majorErr != nil || minorErr != nil {
		return fmt.Errorf("%s/dev holds %q, not MAJOR:MINOR", d.Class, strings.TrimSpace(string(data)))
	}
	if unix.Major(stat.Rdev) != uint32(wantMajor) || unix.Minor(stat.Rdev) != uint32(wantMinor) {
		return fmt.Errorf("%s is device %d:%d, not %s:%s", path, unix.Major(stat.Rdev), unix.Minor(stat.Rdev), major, minor)
	}
	return nil
}
