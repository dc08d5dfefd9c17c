package convert

import (
	"errors"
	"fmt"
	"strings"
)

// FieldError tells which field of the VMI stands in the way, and why.
type FieldError struct {
	Field, Detail string
	// Unsupported says that the field is right but not built here.
	Unsupported bool
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// problems gathers all that is wrong, so that a user need not find it out one by one.
type problems struct{ list []error }

func (p *problems) invalid(field, format string, args ...any) {
	p.list = append(p.list, &FieldError{Field: field, Detail: fmt.Sprintf(format, args...)})
}

func (p *problems) unsupported(field, format string, args ...any) {
	p.list = append(p.list, &FieldError{Field: field, Detail: fmt.Sprintf(format, args...), Unsupported: true})
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Problems: p.list}
}

// Error holds one or more FieldErrors.
type Error struct{ Problems []error }

func (e *Error) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the single problems to errors.As.
func (e *Error) Unwrap() []error { return e.Problems }

// OnlyUnsupported tells whether all that stands in the way are fields that are not built here.
func OnlyUnsupported(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, p := range e.Problems {
		var f *FieldError
		if !errors.As(p, &f) || !f.Unsupported {
			return false
		}
	}
	return true
}
