// Package table prints objects as the rows that kubectl shows. It knows columns and cells, nothing of kinds: each
// registry hands in its own. It must not read anything but the object it prints.
package table

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Column is one column of a kind; the column Name always comes first and is not listed.
type Column[T runtime.Object] struct {
	Name        string
	Type        string
	Description string
	// Wide columns are shown by kubectl get -o wide only.
	Wide bool
	// Cell gives the value of one object, or nil where there is none.
	Cell func(obj T) any
}

// Age is the column that shows how long ago the object was created.
func Age[T runtime.Object]() Column[T] {
	return Column[T]{Name: "Age", Type: "string", Description: "Time since the object was created.", Cell: func(obj T) any {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return nil
		}
		return metatable.ConvertToHumanReadableDateType(accessor.GetCreationTimestamp())
	}}
}

// New makes the table of a kind.
func New[T runtime.Object](columns ...Column[T]) rest.TableConvertor {
	definitions := []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name", Description: "Name of the object."}}
	for _, c := range columns {
		d := metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Description: c.Description}
		if c.Wide {
			d.Priority = 1
		}
		definitions = append(definitions, d)
	}
	return &convertor[T]{columns: columns, definitions: definitions}
}

type convertor[T runtime.Object] struct {
	columns     []Column[T]
	definitions []metav1.TableColumnDefinition
}

var _ rest.TableConvertor = &convertor[runtime.Object]{}

func (c *convertor[T]) ConvertToTable(_ context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	out := &metav1.Table{}
	if list, err := meta.ListAccessor(obj); err == nil {
		out.ResourceVersion = list.GetResourceVersion()
		out.Continue = list.GetContinue()
		out.RemainingItemCount = list.GetRemainingItemCount()
	} else if common, err := meta.CommonAccessor(obj); err == nil {
		out.ResourceVersion = common.GetResourceVersion()
	}
	if o, ok := options.(*metav1.TableOptions); !ok || !o.NoHeaders {
		out.ColumnDefinitions = c.definitions
	}
	rows, err := metatable.MetaToTableRow(obj, func(obj runtime.Object, _ metav1.Object, name, _ string) ([]any, error) {
		typed, ok := obj.(T)
		if !ok {
			return nil, fmt.Errorf("printing %q: unexpected type %T", name, obj)
		}
		cells := make([]any, 0, len(c.definitions))
		cells = append(cells, name)
		for _, column := range c.columns {
			cells = append(cells, column.Cell(typed))
		}
		return cells, nil
	})
	out.Rows = rows
	return out, err
}
