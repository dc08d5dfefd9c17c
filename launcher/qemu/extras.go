package qemu

import (
	"fmt"
	"strconv"
)

// TPM is a trusted platform module that a program beside QEMU emulates.
type TPM struct {
	// Model is "tpm-tis" or "tpm-crb".
	Model string
	// Socket is where that program listens.
	Socket string
}

// Validate tells what QEMU would not take.
func (t *TPM) Validate() error {
	if t.Model != "tpm-tis" && t.Model != "tpm-crb" {
		return fmt.Errorf("tpm: model %q must be tpm-tis or tpm-crb", t.Model)
	}
	return checkSocket("tpm", t.Socket)
}

// Args gives the connection, the emulator behind it and the device.
func (t *TPM) Args() []string {
	return []string{
		"-chardev", "socket,id=tpm0,path=" + escape(t.Socket), "-tpmdev", "emulator,id=tpm0,chardev=tpm0",
		"-device", newProps("driver", t.Model).set("id", "tpm0-device").set("tpmdev", "tpm0").String(),
	}
}

// Sound is a sound card whose sound nobody hears: it is there for guests that want one.
type Sound struct {
	// Model is "ich9" or "ac97".
	Model string
	PCI   PCIAddress
}

func (s *Sound) pciAddress() *PCIAddress { return &s.PCI }
func (s *Sound) pciName() string         { return "sound card" }

// Validate tells what QEMU would not take.
func (s *Sound) Validate() error {
	if s.Model != "ich9" && s.Model != "ac97" {
		return fmt.Errorf("sound card: model %q must be ich9 or ac97", s.Model)
	}
	return nil
}

// Args gives the host's end and the card, with its codec where it is a part of its own.
func (s *Sound) Args() []string {
	args := []string{"-audiodev", newProps("driver", "none").set("id", "audio0").String()}
	card := func(driver string) *props {
		return newProps("driver", driver).set("id", "sound0").set("addr", s.PCI.String())
	}
	if s.Model == "ac97" {
		return append(args, "-device", card("AC97").set("audiodev", "audio0").String())
	}
	codec := newProps("driver", "hda-duplex").set("id", "sound0-codec0").set("bus", "sound0.0").set("cad", 0).set("audiodev", "audio0")
	return append(args, "-device", card("ich9-intel-hda").String(), "-device", codec.String())
}

// VSOCK is a socket between guest and node that needs no network.
type VSOCK struct {
	// CID is the guest's address on its node.
	CID          uint32
	Transitional bool
	PCI          PCIAddress
}

// minCID is the first address that is not reserved.
const minCID = 3

func (v *VSOCK) pciAddress() *PCIAddress { return &v.PCI }
func (v *VSOCK) pciName() string         { return "vsock" }

// Validate tells what QEMU would not take.
func (v *VSOCK) Validate() error {
	if v.CID < minCID || v.CID == 1<<32-1 {
		return fmt.Errorf("vsock: address %d must be from %d to %d", v.CID, minCID, uint32(1<<32-2))
	}
	return nil
}

// Args gives the device, which opens /dev/vhost-vsock.
func (v *VSOCK) Args() []string {
	driver := "vhost-vsock-pci-non-transitional"
	if v.Transitional {
		// It has no form that says so: the plain one speaks both.
		driver = "vhost-vsock-pci"
	}
	return []string{"-device", newProps("driver", driver).set("id", "vsock0").set("addr", v.PCI.String()).set("guest-cid", v.CID).String()}
}

// USBRedirect is a plug for a USB device of a client, served on a unix socket.
type USBRedirect struct {
	Number int
	Socket string
}

// ID is the name of the device.
func (u *USBRedirect) ID() string { return "usbredir" + strconv.Itoa(u.Number) }

// Validate tells what QEMU would not take.
func (u *USBRedirect) Validate() error { return checkSocket(u.ID(), u.Socket) }

// Args gives the socket and the plug.
func (u *USBRedirect) Args() []string {
	return []string{
		"-chardev", socketChardev(u.ID(), u.Socket),
		"-device", newProps("driver", "usb-redir").set("id", u.ID()).set("chardev", u.ID()).set("bus", usbBus).String(),
	}
}
