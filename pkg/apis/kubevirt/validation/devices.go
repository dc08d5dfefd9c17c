package validation

import (
	"cmp"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Rules of the other devices.
var (
	RuleDeviceName  = rule("device-name", "devices that have a name have one of their own")
	RuleFilesystem  = rule("filesystem-volume", "file systems have a name of their own")
	RuleInputDevice = rule("input-device", "input devices are tablets on usb or virtio")
	RuleSoundDevice = rule("sound-device", "a sound device has a name and is an ich9 or ac97")
	RuleWatchdog    = rule("watchdog", "a watchdog has a name, one model that the architecture has, and the action poweroff, reset or shutdown")
	RuleVideoDevice = rule("video-device", "the video type is known, and there is a graphics device")
	RulePanicDevice = rule("panic-device", "panic devices are hyperv, isa or pvpanic, one of each")
	RuleHostDevice  = rule("host-device", "a host device or GPU is named by device or by claim, not both")
	RuleGPUDisplay  = rule("gpu-display", "one GPU at most shows its display from boot")

	deviceName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// maxDeviceName is what QEMU takes for the name of a device, what stands before it apart.
const maxDeviceName = 100

func (r *report) devices(d *virtv1.Devices, p *field.Path) {
	seen := map[string]bool{}
	for i, f := range d.Filesystems {
		p := p.Child("filesystems").Index(i).Child("name")
		switch {
		case f.Name == "":
			r.required(RuleFilesystem, p, "must be the name of a volume in `volumes`")
		case seen[f.Name]:
			r.duplicate(RuleFilesystem, p, f.Name)
		}
		seen[f.Name] = true
	}
	inputs := map[string]bool{}
	for i, input := range d.Inputs {
		p := p.Child("inputs").Index(i)
		r.deviceName(RuleDeviceName, input.Name, p.Child("name"))
		if input.Name != "" && inputs[input.Name] {
			r.duplicate(RuleDeviceName, p.Child("name"), input.Name)
		}
		inputs[input.Name] = true
		oneOf(r, RuleInputDevice, p.Child("bus"), input.Bus, "usb", "virtio")
		oneOf(r, RuleInputDevice, p.Child("type"), input.Type, "tablet")
	}
	if s := d.Sound; s != nil {
		if s.Name == "" {
			r.required(RuleSoundDevice, p.Child("sound", "name"), "Sound device requires a name field")
		}
		oneOf(r, RuleSoundDevice, p.Child("sound", "model"), s.Model, "ich9", "ac97")
	}
	if w := d.Watchdog; w != nil {
		p := p.Child("watchdog")
		r.deviceName(RuleWatchdog, w.Name, p.Child("name"))
		if w.I6300ESB != nil && w.Diag288 != nil {
			r.forbidden(RuleWatchdog, p.Child("diag288"), "may not be set together with `i6300esb`")
		}
		if w.I6300ESB != nil {
			oneOf(r, RuleWatchdog, p.Child("i6300esb", "action"), w.I6300ESB.Action, "poweroff", "reset", "shutdown")
		}
		if w.Diag288 != nil {
			oneOf(r, RuleWatchdog, p.Child("diag288", "action"), w.Diag288.Action, "poweroff", "reset", "shutdown")
		}
	}
	if v := d.Video; v != nil {
		oneOf(r, RuleVideoDevice, p.Child("video", "type"), v.Type, "vga", "cirrus", "virtio", "ramfb", "bochs")
		if !enabled(d.AutoattachGraphicsDevice) {
			r.forbidden(RuleVideoDevice, p.Child("video"), "Video configuration is not allowed when autoattachGraphicsDevice is set to false")
		}
	}
	panics := map[string]bool{}
	for i, panicDevice := range d.PanicDevices {
		p, model := p.Child("panicDevices").Index(i).Child("model"), cmp.Or(panicDevice.Model, "isa")
		oneOf(r, RulePanicDevice, p, panicDevice.Model, "hyperv", "isa", "pvpanic")
		if panics[model] {
			r.duplicate(RulePanicDevice, p, model)
		}
		panics[model] = true
	}
	if isTrue(d.AutoattachVSOCK) {
		r.gate("VSOCK", p.Child("autoattachVSOCK"), "the VSOCK device")
	}
	if d.DownwardMetrics != nil {
		r.gate("DownwardMetrics", p.Child("downwardMetrics"), "showing metrics of the node to guests")
	}
	displays := 0
	names := map[string]bool{}
	for i, g := range d.GPUs {
		p := p.Child("gpus").Index(i)
		r.hostDevice(names, g.Name, g.DeviceName, g.ClaimName, g.RequestName, p)
		if o := g.VirtualGPUOptions; o != nil && o.Display != nil && enabled(o.Display.Enabled) && (o.Display.RamFB == nil || enabled(o.Display.RamFB.Enabled)) {
			displays++
		}
	}
	if displays > 1 {
		r.forbidden(RuleGPUDisplay, p.Child("gpus"), "configuring multiple displays with ramfb is not valid: set virtualGPUOptions.display.ramFB.enabled to false for all GPUs but one")
	}
	for i, h := range d.HostDevices {
		r.hostDevice(names, h.Name, h.DeviceName, h.ClaimName, h.RequestName, p.Child("hostDevices").Index(i))
	}
}

// deviceName checks a name that the machine's device has.
func (r *report) deviceName(rule *Rule, name string, p *field.Path) {
	switch {
	case name == "":
		r.required(rule, p, "must be set")
	case len(name) > maxDeviceName || !deviceName.MatchString(name):
		r.invalid(rule, p, name, "must be at most %d of the characters [A-Za-z0-9._-]", maxDeviceName)
	}
}

func (r *report) hostDevice(seen map[string]bool, name, device, claim, request string, p *field.Path) {
	switch {
	case name == "":
		r.required(RuleDeviceName, p.Child("name"), "must be set")
	case seen[name]:
		r.duplicate(RuleDeviceName, p.Child("name"), name)
	}
	seen[name] = true
	byClaim := claim != "" || request != ""
	if (device != "") == byClaim || byClaim && (claim == "" || request == "") {
		r.required(RuleHostDevice, p.Child("deviceName"), "must have either `deviceName`, or `claimName` and `requestName`")
	}
}
