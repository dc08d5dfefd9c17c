package qemu

import (
	"fmt"
	"regexp"
)

// UEFI is firmware in two flash chips.
type UEFI struct {
	// Code is the read-only firmware, Vars the guest's own copy of the variables. Both are raw.
	Code, Vars string
	// Secure locks the variables to System Management Mode.
	Secure bool
}

// Validate tells what QEMU would not take.
func (u UEFI) Validate() error {
	if err := checkPath("uefi code", u.Code); err != nil {
		return err
	}
	return checkPath("uefi vars", u.Vars)
}

// Args gives the images; the machine names them as its flash chips.
func (u UEFI) Args() []string {
	flash := func(name, path string, readOnly bool) string {
		file := newProps("driver", "file").set("filename", path).set("read-only", readOnly)
		return newProps("driver", "raw").set("node-name", name).set("read-only", readOnly).set("file", file).String()
	}
	args := []string{"-blockdev", flash("pflash0", u.Code, true), "-blockdev", flash("pflash1", u.Vars, false)}
	if u.Secure {
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	}
	return args
}

// Kernel is a Linux kernel that QEMU loads without a boot loader.
type Kernel struct{ Image, Initrd, CommandLine string }

// Validate tells what QEMU would not take.
func (k Kernel) Validate() error {
	if k.Image == "" {
		return fmt.Errorf("kernel: image must be set when initrd or command line is")
	}
	if err := checkPath("kernel image", k.Image); err != nil {
		return err
	}
	if k.Initrd != "" {
		if err := checkPath("kernel initrd", k.Initrd); err != nil {
			return err
		}
	}
	return checkText("kernel command line", k.CommandLine, 2047)
}

// Args gives -kernel, -initrd and -append.
func (k Kernel) Args() []string {
	args := []string{"-kernel", k.Image}
	if k.Initrd != "" {
		args = append(args, "-initrd", k.Initrd)
	}
	if k.CommandLine != "" {
		args = append(args, "-append", k.CommandLine)
	}
	return args
}

// SMBIOS is what the guest's DMI tables say.
type SMBIOS struct {
	System  SMBIOSSystem
	Chassis SMBIOSChassis
}

// SMBIOSSystem is table 1.
type SMBIOSSystem struct{ Manufacturer, Product, Version, Serial, SKU, Family, UUID string }

// SMBIOSChassis is table 3.
type SMBIOSChassis struct{ Manufacturer, Version, Serial, Asset, SKU string }

// maxSMBIOS bounds a text as the API does; firmware tables have room for more.
const maxSMBIOS = 256

// Validate tells what QEMU would not take.
func (s SMBIOS) Validate() error {
	for _, f := range s.fields() {
		if err := checkText("smbios "+f.key, f.value.(string), maxSMBIOS); err != nil {
			return err
		}
	}
	return nil
}

func (s SMBIOS) fields() []member { return append(s.System.fields(), s.Chassis.fields()...) }

func (s SMBIOSSystem) fields() []member {
	return []member{{"manufacturer", s.Manufacturer}, {"product", s.Product}, {"version", s.Version}, {"serial", s.Serial},
		{"uuid", s.UUID}, {"sku", s.SKU}, {"family", s.Family}}
}

func (c SMBIOSChassis) fields() []member {
	return []member{{"manufacturer", c.Manufacturer}, {"version", c.Version}, {"serial", c.Serial}, {"asset", c.Asset}, {"sku", c.SKU}}
}

// Args gives -smbios for each table that has something to say.
func (s SMBIOS) Args() []string {
	var args []string
	for _, t := range []struct {
		number int
		fields []member
	}{{1, s.System.fields()}, {3, s.Chassis.fields()}} {
		text := ""
		for _, f := range t.fields {
			if v := f.value.(string); v != "" {
				text += "," + f.key + "=" + escape(v)
			}
		}
		if text != "" {
			args = append(args, "-smbios", fmt.Sprintf("type=%d%s", t.number, text))
		}
	}
	return args
}

// Clock is the guest's clock chip.
type Clock struct {
	// Base is "utc", "localtime" or the moment that the guest sees at its start, "2026-01-31T08:00:00".
	Base string
	// DriftFix is "slew" to give a guest its lost ticks back, "none" or empty.
	DriftFix string
	// Follows is "host" for a clock that follows the host's, "vm" for one that stands while the guest is paused; empty
	// for QEMU's own.
	Follows string
}

var clockBase = regexp.MustCompile(`^(utc|localtime|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})$`)

// Validate tells what QEMU would not take.
func (c Clock) Validate() error {
	if !clockBase.MatchString(c.Base) {
		return fmt.Errorf("clock: base %q must be utc, localtime or a moment", c.Base)
	}
	if c.DriftFix != "" && c.DriftFix != "slew" && c.DriftFix != "none" {
		return fmt.Errorf("clock: drift fix %q must be slew or none", c.DriftFix)
	}
	if c.Follows != "" && c.Follows != "host" && c.Follows != "vm" {
		return fmt.Errorf("clock: it follows %q and must follow host or vm", c.Follows)
	}
	return nil
}

// Args gives -rtc.
func (c Clock) Args() []string {
	v := "base=" + c.Base
	if c.Follows != "" {
		v += ",clock=" + c.Follows
	}
	if c.DriftFix != "" {
		v += ",driftfix=" + c.DriftFix
	}
	return []string{"-rtc", v}
}

// ACPITable is a whole table in a file.
type ACPITable struct{ Signature, File string }

var acpiSignature = regexp.MustCompile(`^[A-Z]{4}$`)

// Validate tells what QEMU would not take.
func (t ACPITable) Validate() error {
	if !acpiSignature.MatchString(t.Signature) {
		return fmt.Errorf("acpi table: signature %q must be four capitals", t.Signature)
	}
	return checkPath("acpi table "+t.Signature, t.File)
}

// Args gives -acpitable.
func (t ACPITable) Args() []string {
	return []string{"-acpitable", "sig=" + t.Signature + ",file=" + escape(t.File)}
}
