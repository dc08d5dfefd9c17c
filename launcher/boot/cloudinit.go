package boot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v2"
	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
)

// Heads of data by which cloud-init tells kinds apart. Whatever is not known here is the guest's own affair: scripts,
// multipart messages, compressed data, includes.
const (
	cloudConfig = "#cloud-config"
	template    = "## template:"
)

// checkUserData tells why cloud-init could not read user data. where names its place.
func checkUserData(where string, data []byte) error {
	text := bytes.TrimLeftFunc(data, unicode.IsSpace)
	if len(text) < len(cloudConfig) || !strings.EqualFold(string(text[:len(cloudConfig)]), cloudConfig) {
		return nil
	}
	if next, _ := utf8.DecodeRune(text[len(cloudConfig):]); len(text) > len(cloudConfig) && !unicode.IsSpace(next) {
		return nil // another kind, as #cloud-config-archive is
	}
	kind, err := parseYAML(data)
	if err != nil {
		return invalidCloudInit(where, err)
	}
	if kind != "" && kind != aMapping {
		return invalidCloudInit(where, fmt.Errorf("%s must hold keys and values, not %s", cloudConfig, kind))
	}
	return nil
}

// checkNetworkData tells why cloud-init could not read network data. where names its place.
func checkNetworkData(where string, data []byte) error {
	if json.Valid(data) || bytes.HasPrefix(data, []byte(template)) || bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return nil
	}
	if _, err := parseYAML(data); err != nil {
		return invalidCloudInit(where, err)
	}
	return nil
}

func invalidCloudInit(where string, err error) error {
	return api.Errorf(codes.InvalidArgument, api.ReasonCloudInitInvalid, "%s: %w", where, err)
}

// Kinds of the top level of a document.
const (
	aMapping = "a mapping"
	aList    = "a list"
	aScalar  = "a single value"
)

// topLevel takes a document without looking into it: what its keys and values mean is cloud-init's to judge, and aliases are
// not followed.
type topLevel struct{ kind string }

// UnmarshalYAML notes the kind.
func (t *topLevel) UnmarshalYAML(unmarshal func(any) error) error {
	var list []anything
	var scalar string
	switch {
	case unmarshal(&list) == nil:
		t.kind = aList
	case unmarshal(&scalar) == nil:
		t.kind = aScalar
	default:
		t.kind = aMapping
	}
	return nil
}

type anything struct{}

// UnmarshalYAML takes anything.
func (*anything) UnmarshalYAML(func(any) error) error { return nil }

// parseYAML gives the kind of the top level, empty where there is no more than comments, or the first error of syntax with
// its line.
func parseYAML(data []byte) (string, error) {
	// Python's parser, which cloud-init uses, takes a byte order mark anywhere.
	data = bytes.ReplaceAll(data, []byte("\ufeff"), nil)
	var t topLevel
	err := yaml.Unmarshal(data, &t)
	if err == nil {
		return t.kind, nil
	}
	if strings.HasSuffix(err.Error(), tabInText) {
		return "", nil
	}
	return "", located(data, strings.TrimPrefix(err.Error(), "yaml: "))
}

// tabInText is what our parser alone has against a block of text that begins with a tab, as a Makefile may.
const tabInText = "found a tab character where an indentation space is expected"

var (
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	// lineBefore matches errors for which our parser names the line before the one that it means.
	lineBefore = regexp.MustCompile(`^line (\d+): (did not find expected (?:key|'-' indicator|',' or .*|node content|<document start>))$`)
)

// located has an error tell its line, whatever the parser tells.
func located(data []byte, text string) error {
	if m := lineBefore.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return fmt.Errorf("line %d: %s", n+1, m[2])
		}
	}
	if strings.HasPrefix(text, "line ") {
		return errors.New(text)
	}
	at := 0
	if m := unknownAnchor.FindStringSubmatch(text); m != nil {
		at = max(bytes.Index(data, []byte("*"+m[1])), 0)
	} else if i := firstUnprintable(data); i >= 0 {
		at = i
	}
	return fmt.Errorf("line %d: %s", 1+bytes.Count(data[:at], []byte("\n")), text)
}

// firstUnprintable is the place of the first thing that YAML does not take for text, -1 if all is text.
func firstUnprintable(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 || r < 0x20 && !strings.ContainsRune("\t\n\r", r) || r >= 0x7f && r < 0xa0 && r != 0x85 {
			return i
		}
		i += n
	}
	return -1
}
