// Package crd derives a CustomResourceDefinition from the OpenAPI definition of one of our kinds, so that benches can compare
// the API server with the same objects under the same schema. It must not change what the schema says, only how: references
// are resolved, and what structural schemas do not allow is put the way they want it.
package crd

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Names says what the derived kind is called.
type Names struct{ Group, Version, Kind, Plural, Singular string }

// New makes the definition of a namespaced kind with a status subresource from the definition called model.
func New(definitions common.GetOpenAPIDefinitions, model string, names Names) (*unstructured.Unstructured, error) {
	r := resolver{definitions: definitions(func(path string) spec.Ref { return spec.MustCreateRef(path) })}
	root, err := r.named(model)
	if err != nil {
		return nil, err
	}
	properties, _ := root["properties"].(map[string]any)
	if properties == nil || properties["metadata"] == nil {
		return nil, fmt.Errorf("%s is no kind: it has no metadata", model)
	}
	properties["metadata"] = map[string]any{"type": "object"} // the API server's own, which a schema may not repeat
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": names.Plural + "." + names.Group},
		"spec": map[string]any{
			"group": names.Group,
			"scope": "Namespaced",
			"names": map[string]any{"kind": names.Kind, "listKind": names.Kind + "List", "plural": names.Plural, "singular": names.Singular},
			"versions": []any{map[string]any{
				"name": names.Version, "served": true, "storage": true,
				"schema":       map[string]any{"openAPIV3Schema": root},
				"subresources": map[string]any{"status": map[string]any{}},
			}},
		},
	}}, nil
}

// wellKnown are types whose wire form the definitions describe in words that structural schemas do not allow.
var wellKnown = map[string]func() map[string]any{
	"io.k8s.apimachinery.pkg.api.resource.Quantity": func() map[string]any {
		return map[string]any{
			"anyOf":                      []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}},
			"pattern":                    `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`,
			"x-kubernetes-int-or-string": true,
		}
	},
	"io.k8s.apimachinery.pkg.util.intstr.IntOrString": func() map[string]any {
		return map[string]any{
			"anyOf":                      []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}},
			"x-kubernetes-int-or-string": true,
		}
	},
	"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": func() map[string]any {
		return map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	},
}

type resolver struct {
	definitions map[string]common.OpenAPIDefinition
	open        []string
}

// named converts a definition.
func (r *resolver) named(name string) (map[string]any, error) {
	if make := wellKnown[name]; make != nil {
		return make(), nil
	}
	d, ok := r.definitions[name]
	if !ok {
		return nil, fmt.Errorf("there is no definition %s", name)
	}
	if slices.Contains(r.open, name) {
		return nil, fmt.Errorf("definition %s contains itself, by way of %v: a structural schema cannot say that", name, r.open)
	}
	r.open = append(r.open, name)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	out, err := r.schema(d.Schema)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// kept are extensions that mean the same in a structural schema.
var kept = []string{"x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"}

// schema converts one schema. Defaults are left out: our server returns a machine as it was sent.
func (r *resolver) schema(s spec.Schema) (map[string]any, error) {
	if ref := s.Ref.String(); ref != "" {
		out, err := r.named(ref)
		if err == nil && s.Description != "" {
			out["description"] = s.Description
		}
		return out, err
	}
	if len(s.Type) != 1 || len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) > 0 || s.Not != nil {
		return nil, fmt.Errorf("a schema of types %v with alternatives has no structural form here", s.Type)
	}
	out := map[string]any{"type": s.Type[0]}
	if s.Description != "" {
		out["description"] = s.Description
	}
	if s.Format != "" {
		out["format"] = s.Format
	}
	if len(s.Enum) > 0 {
		out["enum"] = slices.Clone(s.Enum)
	}
	for _, name := range kept {
		switch v := s.Extensions[name].(type) {
		case nil:
		case []string:
			out[name] = slices.Collect(anys(v))
		default:
			out[name] = v
		}
	}
	if len(s.Required) > 0 {
		out["required"] = slices.Collect(anys(s.Required))
	}
	if s.Items != nil {
		items, err := r.schema(*s.Items.Schema)
		if err != nil {
			return nil, fmt.Errorf("items: %w", err)
		}
		out["items"] = items
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		values, err := r.schema(*s.AdditionalProperties.Schema)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		out["additionalProperties"] = values
	}
	properties := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p, err := r.schema(s.Properties[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		properties[name] = p
	}
	if len(properties) > 0 {
		out["properties"] = properties
	}
	return out, nil
}

func anys(in []string) func(func(any) bool) {
	return func(yield func(any) bool) {
		for _, v := range in {
			if !yield(v) {
				return
			}
		}
	}
}
