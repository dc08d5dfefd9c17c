package support

import (
	"fmt"
	"slices"
	"strings"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Kind says what becomes of an object that asks for something that is not there.
type Kind string

const (
	// NotServed is what this version cannot do: an instance that asks for it gets no pod.
	NotServed Kind = "NotServed"
	// NotHere is what this installation is not configured for: an instance that asks for it gets no pod.
	NotHere Kind = "NotHere"
	// NoEffect is what an object is served without.
	NoEffect Kind = "NoEffect"
)

// Reasons of the condition Synchronized.
const (
	ReasonField   = "UnsupportedField"
	ReasonNetwork = "UnsupportedNetwork"
)

// Reason says that a field asks for what is not there.
type Reason struct {
	// Field is its path from the top of the object, such as spec.domain.devices.gpus[0].
	Field string
	// Reason is one word for conditions and events.
	Reason string
	// Message says what is not there, and what to do instead.
	Message string
	Kind    Kind
}

// String is the reason in one line.
func (r Reason) String() string { return r.Field + ": " + r.Message }

// Blocks says whether an instance cannot start.
func (r Reason) Blocks() bool { return r.Kind != NoEffect }

// Installation is what a cluster's configuration decides.
type Installation struct {
	// Emulation says that guests run under software emulation.
	Emulation bool
}

// InstallationOf reads the configuration; nil has the defaults.
func InstallationOf(c *virtv1.KubeVirtConfiguration) Installation {
	if c == nil || c.DeveloperConfiguration == nil {
		return Installation{}
	}
	e := c.DeveloperConfiguration.UseEmulation
	return Installation{Emulation: e != nil && *e}
}

// Instance tells all that an instance with these annotations and this spec asks for and cannot have, in the order of the table.
func Instance(annotations map[string]string, spec *virtv1.VirtualMachineInstanceSpec, in Installation) []Reason {
	var out []Reason
	q := &query{annotations: annotations, spec: spec, in: in}
	for i := range rows {
		out = append(out, rows[i].ask(q)...)
	}
	return out
}

// Template is Instance for a template inside of another object, whose path is given: spec.template of a VirtualMachine.
func Template(path string, t *virtv1.VirtualMachineInstanceTemplateSpec, in Installation) []Reason {
	if t == nil {
		return nil
	}
	out := Instance(t.Annotations, &t.Spec, in)
	for i := range out {
		out[i].Field = path + "." + out[i].Field
	}
	return out
}

// Machine tells all that a VirtualMachine asks for and cannot have: what its instances cannot have, and what it has itself.
func Machine(vm *virtv1.VirtualMachine, in Installation) []Reason {
	out := Template("spec.template", vm.Spec.Template, in)
	for i := range vm.Spec.DataVolumeTemplates {
		out = append(out, Reason{
			Field: fmt.Sprintf("%s[%d]", DataVolumeTemplates, i), Reason: ReasonField, Kind: NoEffect,
			Message: fmt.Sprintf("DataVolumes are not made by this version: create the PersistentVolumeClaim %s yourself, and the machine starts from it", vm.Spec.DataVolumeTemplates[i].Name),
		})
	}
	if s := vm.Spec.UpdateVolumesStrategy; s == "Migration" {
		out = append(out, Reason{
			Field: "spec.updateVolumesStrategy", Reason: ReasonField, Kind: NoEffect,
			Message: "volumes are not migrated by this version: changed volumes are those of the next start, and their data is not copied",
		})
	}
	return out
}

// NoMigrations is why a VirtualMachineInstanceMigration is refused.
const NoMigrations = "this version does not migrate instances, and nobody would act on the object: stop the machine and start it, or shut it down by evicting its pod, to have it on another node"

// DataVolumeTemplates is the field of a machine whose DataVolumes nobody makes yet.
const DataVolumeTemplates = "spec.dataVolumeTemplates"

// Find gives the first reason whose field is or lies below the path, such as DataVolumeTemplates.
func Find(reasons []Reason, path string) (Reason, bool) {
	i := slices.IndexFunc(reasons, func(r Reason) bool {
		rest, ok := strings.CutPrefix(r.Field, path)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
	if i < 0 {
		return Reason{}, false
	}
	return reasons[i], true
}

// Synchronized is what the condition Synchronized says with status False of an instance that cannot start: the reason of the
// first thing that stands in the way, and all of them in words.
func Synchronized(reasons []Reason) (reason, message string, blocked bool) {
	var texts []string
	for _, r := range reasons {
		if !r.Blocks() {
			continue
		}
		if reason == "" {
			reason = r.Reason
		}
		texts = append(texts, r.String())
	}
	return reason, strings.Join(texts, "; "), len(texts) > 0
}

// Warnings are the reasons as the API gives them to whoever writes an object.
func Warnings(reasons []Reason) []string {
	var out []string
	for _, r := range reasons {
		text := r.String()
		if r.Blocks() {
			text += " (it does not start with this)"
		}
		out = append(out, text)
	}
	return out
}
