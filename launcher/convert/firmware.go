package convert

import (
	"path/filepath"
	"slices"

	"github.com/virtplane/virtplane/launcher/qemu"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Vendor is what a guest's DMI tables say of its maker. Tools in guests know the reference by these words.
const (
	smbiosManufacturer = "KubeVirt"
	smbiosProduct      = "None"
	smbiosFamily       = "KubeVirt"
)

// UEFI tells whether the VMI boots by UEFI, and whether with Secure Boot, which is the default as in the reference.
func (b *builder) uefi() (on, secure bool) {
	f := b.domain.Firmware
	if f == nil || f.Bootloader == nil || f.Bootloader.EFI == nil {
		return false, false
	}
	return true, unlessFalse(f.Bootloader.EFI.SecureBoot)
}

func (b *builder) firmware() {
	f := b.domain.Firmware
	if f == nil {
		return
	}
	if l := f.Bootloader; l != nil {
		if l.BIOS != nil && l.EFI != nil {
			b.invalid("spec.domain.firmware.bootloader", "bios and efi exclude one another")
		}
		if l.BIOS != nil {
			b.m.FirmwareOnSerial = isTrue(l.BIOS.UseSerial)
		}
	}
	if on, secure := b.uefi(); on {
		if secure {
			if s := b.domain.Features; s != nil && s.SMM != nil && !feature(s.SMM) {
				b.invalid("spec.domain.features.smm.enabled", "must be true for Secure Boot")
			}
			b.m.SMM = true
		}
		b.m.UEFI = &qemu.UEFI{Code: b.UEFICode, Vars: b.UEFIVars, Secure: secure}
	}
	if a := f.ACPI; a != nil {
		b.acpiTables(a)
	}
	if k := f.KernelBoot; k != nil {
		switch {
		case k.Container == nil && k.KernelArgs != "":
			b.invalid("spec.domain.firmware.kernelBoot.kernelArgs", "needs a container with a kernel")
		case k.Container != nil && k.Container.KernelPath == "":
			b.unsupported("spec.domain.firmware.kernelBoot.container.kernelPath", "must be set, an initrd alone is not supported")
		case k.Container != nil:
			b.m.Kernel = &qemu.Kernel{Image: b.Kernel, Initrd: b.Initrd, CommandLine: k.KernelArgs}
		}
	}
}

// ACPITable is a table that the VMI names, and the file of it in the pod.
type ACPITable struct {
	qemu.ACPITable
	// Field is the one that names Volume.
	Field, Volume string
}

// ACPITables lists the tables that carry licences of Windows.
func ACPITables(a *virtv1.ACPI, paths Paths) []ACPITable {
	var out []ACPITable
	for _, t := range []struct{ field, volume, signature, file string }{
		{"slicNameRef", a.SlicNameRef, "SLIC", "slic.bin"}, {"msdmNameRef", a.MsdmNameRef, "MSDM", "msdm.bin"},
	} {
		if t.volume != "" {
			out = append(out, ACPITable{qemu.ACPITable{Signature: t.signature, File: filepath.Join(paths.Configs, t.volume, t.file)}, t.field, t.volume})
		}
	}
	return out
}

func (b *builder) acpiTables(a *virtv1.ACPI) {
	const field = "spec.domain.firmware.acpi"
	if b.m.NoACPI {
		b.invalid(field, "needs features.acpi")
	}
	for _, t := range ACPITables(a, b.Paths) {
		if !slices.ContainsFunc(b.spec.Volumes, func(v virtv1.Volume) bool { return v.Name == t.Volume && v.Secret != nil }) {
			b.invalid(field+"."+t.Field, "there is no volume %q of kind secret", t.Volume)
			continue
		}
		b.m.ACPITables = append(b.m.ACPITables, t.ACPITable)
	}
}

func (b *builder) smbios() {
	b.m.SMBIOS.System = qemu.SMBIOSSystem{Manufacturer: smbiosManufacturer, Product: smbiosProduct, Family: smbiosFamily, UUID: b.m.UUID}
	if f := b.domain.Firmware; f != nil {
		b.m.SMBIOS.System.Serial = f.Serial
	}
	if c := b.domain.Chassis; c != nil {
		b.m.SMBIOS.Chassis = qemu.SMBIOSChassis{Manufacturer: c.Manufacturer, Version: c.Version, Serial: c.Serial, Asset: c.Asset, SKU: c.SKU}
		b.m.SMBIOS.System.SKU = c.SKU
	}
}
