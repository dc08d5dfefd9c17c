package support

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Row is a line of the table.
type Row struct {
	// Field is a path from the top of an instance, such as spec.domain.devices.gpus[]: [] stands for each entry of a list.
	Field string
	// When says in words which values are meant; empty for any.
	When string
	// Reason and Kind are those of the Reasons that come of the line.
	Reason string
	Kind   Kind
	// Why says what is not there, and what to do instead.
	Why string

	// find gives the places that ask for it; nil finds each place where the field is set.
	find func(*query) []place
}

// query is what an instance asks for.
type query struct {
	annotations map[string]string
	spec        *virtv1.VirtualMachineInstanceSpec
	in          Installation
}

// place is a field of an instance that asks for what is not there.
type place struct {
	// index is the entry of the list in the line's path, if it has one.
	index int
	// why stands in for that of the line, with the value that was found.
	why string
}

// Any says that the field is not served whatever its value.
func (r *Row) Any() bool { return r.find == nil }

func (r *Row) ask(q *query) []Reason {
	var out []Reason
	if r.find == nil {
		visit(reflect.ValueOf(q.spec), strings.TrimPrefix(r.Field, "spec."), "spec", false, func(path string) {
			out = append(out, Reason{Field: path, Reason: r.Reason, Kind: r.Kind, Message: r.Why})
		})
		return out
	}
	for _, p := range r.find(q) {
		path := strings.Replace(r.Field, "[]", fmt.Sprintf("[%d]", p.index), 1)
		message := r.Why
		if p.why != "" {
			message = p.why
		}
		out = append(out, Reason{Field: path, Reason: r.Reason, Kind: r.Kind, Message: message})
	}
	return out
}

// visit calls found with the path of each field of v that the pattern means and that is set: not nil, not false, not empty. there
// says that v is an entry of a list or what a pointer points to: a struct is then set even if it is empty.
func visit(v reflect.Value, pattern, path string, there bool, found func(path string)) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v, there = v.Elem(), true
	}
	if pattern == "" {
		if there && v.Kind() == reflect.Struct || !v.IsZero() {
			found(path)
		}
		return
	}
	part, rest, _ := strings.Cut(pattern, ".")
	name, list := strings.CutSuffix(part, "[]")
	child := v.FieldByIndex(fieldIndex(v.Type(), name))
	path += "." + name
	if !list {
		visit(child, rest, path, false, found)
		return
	}
	for i := range child.Len() {
		visit(child.Index(i), rest, fmt.Sprintf("%s[%d]", path, i), true, found)
	}
}

// fieldIndex finds the field of a struct that JSON calls so. A line that names none is a mistake of the table, which a test
// would find.
func fieldIndex(typ reflect.Type, name string) []int {
	for i := range typ.NumField() {
		if n, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); n == name {
			return []int{i}
		}
	}
	panic(fmt.Sprintf("support: %s has no field %s", typ, name))
}

// Rows lists the lines of the table for instances.
func Rows() []Row { return slices.Clone(rows) }

// once finds a field outside of lists.
func once(asks func(*query) bool) func(*query) []place {
	return func(q *query) []place {
		if asks(q) {
			return []place{{}}
		}
		return nil
	}
}

// each finds entries of a list.
func each[T any](list func(*virtv1.VirtualMachineInstanceSpec) []T, why func(q *query, i int, entry *T) (string, bool)) func(*query) []place {
	return func(q *query) []place {
		var out []place
		entries := list(q.spec)
		for i := range entries {
			if text, ok := why(q, i, &entries[i]); ok {
				out = append(out, place{i, text})
			}
		}
		return out
	}
}

func interfaces(s *virtv1.VirtualMachineInstanceSpec) []virtv1.Interface {
	return s.Domain.Devices.Interfaces
}

func disks(s *virtv1.VirtualMachineInstanceSpec) []virtv1.Disk { return s.Domain.Devices.Disks }

func enabled(b *bool) bool { return b == nil || *b }

func on(s *virtv1.FeatureState) bool { return s != nil && enabled(s.Enabled) }
