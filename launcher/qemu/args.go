package qemu

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// props is one JSON object of a command line with its members in a fixed order. JSON spares the escaping of commas
// that QEMU's own key=value syntax needs, which is where untrusted names would slip through.
type props struct{ members []member }

type member struct {
	key   string
	value any
}

// newProps begins with the member that selects the kind: driver, qom-type, type.
func newProps(key, value string) *props { return (&props{}).set(key, value) }

func (p *props) set(key string, value any) *props {
	p.members = append(p.members, member{key, value})
	return p
}

// maybe sets a member unless value is the zero value of its type.
func (p *props) maybe(key string, value any) *props {
	switch v := value.(type) {
	case string:
		if v == "" {
			return p
		}
	case int:
		if v == 0 {
			return p
		}
	case bool:
		if !v {
			return p
		}
	}
	return p.set(key, value)
}

// MarshalJSON keeps the order of the members.
func (p *props) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range p.members {
		if i > 0 {
			b.WriteByte(',')
		}
		v, err := plainJSON(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
		fmt.Fprintf(&b, "%q:%s", m.key, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// String is the argument itself. Members are strings, numbers, booleans and other props, which always encode.
func (p *props) String() string {
	b, err := p.MarshalJSON()
	if err != nil {
		panic(fmt.Sprintf("qemu: property of a type that has no JSON: %v", err))
	}
	return string(b)
}

// plainJSON encodes without turning <, > and & into escapes, for people who read process lists.
func plainJSON(v any) ([]byte, error) {
	if p, ok := v.(*props); ok {
		return p.MarshalJSON()
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// onOff is a switch as QEMU's key=value syntax has it; as a JSON device property it is a boolean or this string.
func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// escape doubles the commas of a value in QEMU's key=value syntax.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }

var idPattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9._-]{0,127}$`)

// checkID tells whether QEMU takes id as the name of an object or device.
func checkID(what, id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%s: id %q must begin with a letter and hold only letters, digits, '.', '_' and '-'", what, id)
	}
	return nil
}

// checkText refuses what would break a line of the command line or of a firmware table.
func checkText(what, s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("%s: must be no longer than %d bytes", what, most)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%s: must not hold control characters", what)
		}
	}
	return nil
}

// checkPath wants an absolute path without control characters.
func checkPath(what, path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s: path %q must be absolute", what, path)
	}
	return checkText(what, path, 4095)
}

// maxSocketPath is what a unix socket address holds on Linux, its final zero apart.
const maxSocketPath = 107

func checkSocket(what, path string) error {
	if err := checkPath(what, path); err != nil {
		return err
	}
	if len(path) > maxSocketPath {
		return fmt.Errorf("%s: socket path %q must be no longer than %d bytes", what, path, maxSocketPath)
	}
	return nil
}
