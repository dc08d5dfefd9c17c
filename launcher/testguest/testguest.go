// Package testguest is a guest in one boot sector for tests that need a real QEMU but no operating system. It runs within
// half a second under emulation, writes "boot" on the first serial port and heeds the power button: it writes "button" and
// "off" and powers down. Letters on the serial port have it do other things: d be deaf to the button from now on, p panic
// through pvpanic, r reset, s power down; any other letter comes back. No program may import this package.
package testguest

import (
	_ "embed"
	"os"
)

//go:embed guest.bin
var sector []byte

// diskSize is the least for which the firmware finds a geometry.
const diskSize = 1 << 20

// Write makes the guest's disk, a raw image.
func Write(path string) error {
	if err := os.WriteFile(path, sector, 0o644); err != nil {
		return err
	}
	return os.Truncate(path, diskSize)
}
