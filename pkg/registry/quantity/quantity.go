// Package quantity has the errors of quantities that cannot be read name their field. A quantity tells only that it is none, and
// JSON decoders pass that on as it is: somebody with a long manifest would not know where to look.
package quantity

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// Named makes a serializer whose JSON and YAML decoders name the fields of quantities that cannot be read.
func Named(s runtime.NegotiatedSerializer, creater runtime.ObjectCreater) runtime.NegotiatedSerializer {
	return negotiated{s, creater}
}

type negotiated struct {
	runtime.NegotiatedSerializer
	creater runtime.ObjectCreater
}

// SupportedMediaTypes has the decoders.
func (n negotiated) SupportedMediaTypes() []runtime.SerializerInfo {
	infos := slices.Clone(n.NegotiatedSerializer.SupportedMediaTypes())
	for i := range infos {
		if t := infos[i].MediaType; t != runtime.ContentTypeJSON && t != runtime.ContentTypeYAML {
			continue
		}
		infos[i].Serializer = named{infos[i].Serializer, n.creater}
		if infos[i].StrictSerializer != nil {
			infos[i].StrictSerializer = named{infos[i].StrictSerializer, n.creater}
		}
	}
	return infos
}

type named struct {
	runtime.Serializer
	creater runtime.ObjectCreater
}

// Decode names the field of an error about a quantity.
func (s named) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, kind, err := s.Serializer.Decode(data, defaults, into)
	if err == nil || !strings.Contains(err.Error(), "quantit") || runtime.IsStrictDecodingError(err) || kind == nil {
		return obj, kind, err
	}
	target, newErr := s.creater.New(*kind)
	text, yamlErr := yaml.YAMLToJSON(data)
	var value any
	if newErr != nil || yamlErr != nil || json.Unmarshal(text, &value) != nil {
		return obj, kind, err
	}
	if path, bad := find(value, reflect.TypeOf(target), ""); path != "" {
		err = fmt.Errorf("%s: %v is no quantity such as 500m, 2 or 1Gi: %w", strings.TrimPrefix(path, "."), bad, err)
	}
	return obj, kind, err
}

var quantities = reflect.TypeFor[resource.Quantity]()

// find gives the first quantity that cannot be read, and its path.
func find(value any, typ reflect.Type, path string) (string, any) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ == quantities {
		if value == nil {
			return "", nil
		}
		if _, err := resource.ParseQuantity(strings.TrimSpace(fmt.Sprint(value))); err != nil {
			return path, value
		}
		return "", nil
	}
	switch value := value.(type) {
	case map[string]any:
		for _, key := range sorted(value) {
			child, ok := member(typ, key)
			if !ok {
				continue
			}
			if at, bad := find(value[key], child, path+"."+key); at != "" {
				return at, bad
			}
		}
	case []any:
		if typ.Kind() != reflect.Slice {
			return "", nil
		}
		for i := range value {
			if at, bad := find(value[i], typ.Elem(), fmt.Sprintf("%s[%d]", path, i)); at != "" {
				return at, bad
			}
		}
	}
	return "", nil
}

func sorted(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// member is the type of what a key of an object holds.
func member(typ reflect.Type, key string) (reflect.Type, bool) {
	switch typ.Kind() {
	case reflect.Map:
		return typ.Elem(), true
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == key {
				return f.Type, true
			}
			if name == "" && strings.Contains(options, "inline") {
				if t, ok := member(f.Type, key); ok {
					return t, true
				}
			}
		}
	}
	return nil, false
}
