package v1_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/virtplane/virtplane/pkg/generated/openapi"
)

// shape is what clients rely on of a definition: the names of its fields, their types and formats, which are required, and
// how lists are merged.
type shape struct {
	Type       oneType          `json:"type,omitempty"`
	Format     string           `json:"format,omitempty"`
	Ref        string           `json:"$ref,omitempty"`
	Items      *shape           `json:"items,omitempty"`
	Values     *shape           `json:"additionalProperties,omitempty"`
	Properties map[string]shape `json:"properties,omitempty"`
	Required   []string         `json:"required,omitempty"`
	ListType   string           `json:"x-kubernetes-list-type,omitempty"`
	MapType    string           `json:"x-kubernetes-map-type,omitempty"`
	ListKeys   []string         `json:"x-kubernetes-list-map-keys,omitempty"`
}

// oneType is the type of a value; that it may be null besides does not matter to clients.
type oneType string

// UnmarshalJSON reads one name, or a list of which one is null.
func (o *oneType) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil {
		list = slices.DeleteFunc(list, func(s string) bool { return s == "null" })
		*o = oneType(strings.Join(list, ","))
		return nil
	}
	return json.Unmarshal(data, (*string)(o))
}

// differs are the places where ours may differ from the published shape, with the reason.
var differs = map[string]string{
	"v1.ComponentConfig.replicas.format":                    "a number of replicas is an int32 everywhere else; the published byte allows 255",
	"v1.VirtualMachineInstanceFileSystem.totalBytes.format": "file systems are larger than 2 GiB; the published format comes from a Go int of 64 bits",
	"v1.VirtualMachineInstanceFileSystem.usedBytes.format":  "file systems are larger than 2 GiB; the published format comes from a Go int of 64 bits",
}

// TestShape compares the generated OpenAPI with the published shape of the API, which testdata/shape.json holds.
func TestShape(t *testing.T) {
	data, err := os.ReadFile("testdata/shape.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]shape
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	name := func(model string) string {
		for prefix, short := range map[string]string{"io.kubevirt.v1.": "v1.", "io.kubevirt.cdi.v1beta1.": "v1beta1.", "io.k8s.": "k8s.io."} {
			if rest, ok := strings.CutPrefix(model, prefix); ok {
				return short + rest
			}
		}
		return model
	}
	got := map[string]shape{}
	for model, definition := range openapi.GetOpenAPIDefinitions(func(path string) spec.Ref { return spec.MustCreateRef("#/" + name(path)) }) {
		got[name(model)] = shapeOf(definition.Schema)
	}
	used := map[string]bool{}
	report := func(path, what string, want, got any) {
		key := path + "." + what
		if _, ok := differs[key]; ok {
			used[key] = true
			return
		}
		t.Errorf("%s: %s is %v, published is %v", path, what, got, want)
	}
	var compare func(path string, want, got shape)
	compare = func(path string, want, got shape) {
		if got.Ref == "k8s.io.apimachinery.pkg.apis.meta.v1.Time" && want.Type == "string" && want.Ref == "" {
			return // a moment that may be null is published as a bare string
		}
		for what, pair := range map[string][2]any{
			"type": {want.Type, got.Type}, "format": {want.Format, got.Format}, "reference": {want.Ref, got.Ref}, "required": {want.Required, got.Required},
			"list type": {want.ListType, got.ListType}, "list keys": {want.ListKeys, got.ListKeys}, "map type": {want.MapType, got.MapType},
		} {
			if fmt.Sprint(pair[0]) != fmt.Sprint(pair[1]) {
				report(path, what, pair[0], pair[1])
			}
		}
		for what, pair := range map[string][2]*shape{"items": {want.Items, got.Items}, "values": {want.Values, got.Values}} {
			switch {
			case pair[0] == nil && pair[1] == nil:
			case pair[0] == nil || pair[1] == nil:
				report(path, what, pair[0], pair[1])
			default:
				compare(path+"."+what, *pair[0], *pair[1])
			}
		}
		for _, field := range slices.Sorted(maps.Keys(want.Properties)) {
			if _, ok := got.Properties[field]; !ok {
				report(path, field, "there", "missing")
				continue
			}
			compare(path+"."+field, want.Properties[field], got.Properties[field])
		}
		for _, field := range slices.Sorted(maps.Keys(got.Properties)) {
			if _, ok := want.Properties[field]; !ok {
				report(path, field, "missing", "there")
			}
		}
	}
	for _, definition := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[definition]; !ok {
			t.Errorf("%s is missing", definition)
			continue
		}
		compare(definition, want[definition], got[definition])
	}
	for key := range differs {
		if !used[key] {
			t.Errorf("%s no longer differs: take it off the list", key)
		}
	}
}

func shapeOf(s spec.Schema) shape {
	out := shape{Format: s.Format, Required: slices.Sorted(slices.Values(s.Required))}
	if len(s.Type) > 0 {
		out.Type = oneType(s.Type[0])
	}
	if ref := s.Ref.String(); ref != "" {
		out.Ref = strings.ReplaceAll(strings.TrimPrefix(ref, "#/"), "~1", "/")
	}
	if s.Items != nil && s.Items.Schema != nil {
		items := shapeOf(*s.Items.Schema)
		out.Items = &items
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		values := shapeOf(*s.AdditionalProperties.Schema)
		out.Values = &values
	}
	for name, property := range s.Properties {
		if out.Properties == nil {
			out.Properties = map[string]shape{}
		}
		out.Properties[name] = shapeOf(property)
	}
	out.ListType, _ = s.Extensions.GetString("x-kubernetes-list-type")
	out.MapType, _ = s.Extensions.GetString("x-kubernetes-map-type")
	out.ListKeys, _ = s.Extensions.GetStringSlice("x-kubernetes-list-map-keys")
	return out
}
