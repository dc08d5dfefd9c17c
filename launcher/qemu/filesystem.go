package qemu

import "fmt"

// Filesystem is a folder that the guest mounts as virtiofs. QEMU only passes the guest's requests on: the process that has
// the folder listens on Socket and reads and writes the guest's memory, which must be shared (Machine.SharedMemory).
type Filesystem struct {
	// Name is that of the volume, and the tag by which the guest mounts it.
	Name   string
	Socket string
	PCI    PCIAddress
}

// maxTag is what the device has room for.
const maxTag = 36

func (f *Filesystem) pciAddress() *PCIAddress { return &f.PCI }
func (f *Filesystem) pciName() string         { return "file system " + f.Name }

// ID is the name of the device.
func (f *Filesystem) ID() string { return "fs-" + f.Name }

// Validate tells what QEMU would not take.
func (f *Filesystem) Validate() error {
	what := "file system " + f.Name
	if len(f.Name) > maxTag {
		return fmt.Errorf("%s: name must be no longer than %d bytes, which is what the guest's device has room for", what, maxTag)
	}
	if err := checkID(what, f.ID()); err != nil {
		return err
	}
	return checkSocket(what, f.Socket)
}

// Args gives the connection and the device. The device has no legacy form.
func (f *Filesystem) Args() []string {
	return []string{
		"-chardev", fmt.Sprintf("socket,id=%s,path=%s", f.ID(), escape(f.Socket)),
		"-device", newProps("driver", "vhost-user-fs-pci").set("id", f.ID()).set("addr", f.PCI.String()).
			set("chardev", f.ID()).set("tag", f.Name).set("queue-size", 1024).String(),
	}
}

// MetricsChannel is the virtio-serial port on which a guest asks for figures of its node, served on a unix socket. It hangs on
// the controller of the guest agent's channel.
type MetricsChannel struct{ Socket string }

// Validate tells what QEMU would not take.
func (c *MetricsChannel) Validate() error {
	return checkSocket("channel of downward metrics", c.Socket)
}

// Args gives the character device and the port.
func (c *MetricsChannel) Args() []string {
	return []string{
		"-chardev", socketChardev("downwardmetrics0", c.Socket),
		"-device", newProps("driver", "virtserialport").set("id", "downwardmetrics0").set("bus", "virtio-serial0.0").
			set("chardev", "downwardmetrics0").set("name", "org.github.vhostmd.1").String(),
	}
}
