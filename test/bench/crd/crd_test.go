package crd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiext "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/virtplane/virtplane/pkg/generated/openapi"
)

const model = "io.kubevirt.v1.VirtualMachine"

var names = Names{Group: "bench.virtplane.io", Version: "v1", Kind: "VirtualMachine", Plural: "virtualmachines", Singular: "virtualmachine"}

// typed is the definition as a real API server reads it.
func typed(t *testing.T) apiextv1.CustomResourceDefinition {
	t.Helper()
	u, err := New(openapi.GetOpenAPIDefinitions, model, names)
	if err != nil {
		t.Fatal(err)
	}
	var out apiextv1.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, &out, true); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStructural(t *testing.T) {
	var internal apiext.JSONSchemaProps
	if err := apiextv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(typed(t).Spec.Versions[0].Schema.OpenAPIV3Schema, &internal, nil); err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range schema.ValidateStructural(nil, structural) {
		t.Error(err)
	}
}

// TestSame walks our definition and the derived one side by side: every property of ours must be there with its type.
func TestSame(t *testing.T) {
	definitions := openapi.GetOpenAPIDefinitions(func(path string) spec.Ref { return spec.MustCreateRef(path) })
	compared := 0
	var walk func(path string, ours spec.Schema, theirs apiextv1.JSONSchemaProps)
	walk = func(path string, ours spec.Schema, theirs apiextv1.JSONSchemaProps) {
		compared++
		if ref := ours.Ref.String(); ref != "" {
			if wellKnown[ref] == nil {
				walk(path, definitions[ref].Schema, theirs)
			}
			return
		}
		if ours.Type[0] != theirs.Type {
			t.Errorf("%s: type %q, want %q", path, theirs.Type, ours.Type[0])
		}
		if diff := cmp.Diff(ours.Required, theirs.Required); diff != "" {
			t.Errorf("%s: required (-want +got):\n%s", path, diff)
		}
		if len(ours.Properties) != len(theirs.Properties) {
			t.Errorf("%s: %d properties, want %d", path, len(theirs.Properties), len(ours.Properties))
		}
		for name, p := range ours.Properties {
			if path == "" && name == "metadata" {
				continue
			}
			walk(path+"."+name, p, theirs.Properties[name])
		}
		if ours.Items != nil {
			walk(path+"[]", *ours.Items.Schema, *theirs.Items.Schema)
		}
		if ours.AdditionalProperties != nil {
			walk(path+"{}", *ours.AdditionalProperties.Schema, *theirs.AdditionalProperties.Schema)
		}
	}
	walk("", definitions[model].Schema, *typed(t).Spec.Versions[0].Schema.OpenAPIV3Schema)
	if compared < 500 {
		t.Errorf("only %d schemas were compared", compared)
	}
}

func TestRefusals(t *testing.T) {
	object := func(properties map[string]spec.Schema) common.OpenAPIDefinition {
		return common.OpenAPIDefinition{Schema: spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}, Properties: properties}}}
	}
	ref := func(name string) spec.Schema {
		return spec.Schema{SchemaProps: spec.SchemaProps{Ref: spec.MustCreateRef(name)}}
	}
	for _, tc := range []struct {
		name        string
		definitions map[string]common.OpenAPIDefinition
		want        string
	}{
		{"absent", nil, "there is no definition a"},
		{"no kind", map[string]common.OpenAPIDefinition{"a": object(nil)}, "a is no kind: it has no metadata"},
		{"absent below", map[string]common.OpenAPIDefinition{"a": object(map[string]spec.Schema{"metadata": ref("b")})}, "a: metadata: there is no definition b"},
		{"recursive", map[string]common.OpenAPIDefinition{"a": object(map[string]spec.Schema{"metadata": ref("a")})},
			"a: metadata: definition a contains itself, by way of [a]: a structural schema cannot say that"},
		{"alternatives", map[string]common.OpenAPIDefinition{"a": object(map[string]spec.Schema{"metadata": {}})},
			"a: metadata: a schema of types [] with alternatives has no structural form here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(func(common.ReferenceCallback) map[string]common.OpenAPIDefinition { return tc.definitions }, "a", names)
			if got := strings.TrimSpace(fmt.Sprint(err)); got != tc.want {
				t.Errorf("error %q, want %q", got, tc.want)
			}
		})
	}
}
