// Package create holds the commands that write manifests: of machines, instance types, preferences and clones. They print YAML
// or JSON for kubectl and ask nothing of the cluster.
package create

import (
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// New returns the command create.
func New(e *command.Environment) *cobra.Command {
	cmd := &cobra.Command{
		Use: "create", Short: "Write a manifest for kubectl to apply", Args: command.Args(cobra.NoArgs),
		Example: e.Example(`
  # Make a machine
  {{program}} create vm --name web --volume-containerdisk src:registry.example.com/debian:13 | kubectl apply -f -`),
	}
	cmd.AddCommand(newVM(e), command.NotYet(newInstancetype(e), instancetypeVersion), command.NotYet(newPreference(e), instancetypeVersion), command.NotYet(newClone(e), cloneVersion))
	return cmd
}

// randomSuffix is how long the random end of an invented name is.
const randomSuffix = 5

func invented(prefix string) string { return prefix + rand.String(randomSuffix) }

// params are the parameters of a flag such as src:web,size:10Gi.
type params map[string]string

// parseParams reads KEY:VALUE pairs between commas. Values may hold colons.
func parseParams(flag, text string, known ...string) (params, error) {
	p := params{}
	want := strings.Join(known, ", ")
	if strings.TrimSpace(text) == "" {
		return nil, command.Usagef("--%s is empty: give KEY:VALUE pairs between commas; keys are %s", flag, want)
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, ":")
		key = strings.ToLower(strings.TrimSpace(key))
		switch {
		case !ok:
			return nil, command.Usagef("--%s: %q is not KEY:VALUE; keys are %s", flag, pair, want)
		case !contains(known, key):
			return nil, command.Usagef("--%s: there is no key %q; keys are %s", flag, key, want)
		case value == "":
			return nil, command.Usagef("--%s: %s has no value", flag, key)
		}
		if _, twice := p[key]; twice {
			return nil, command.Usagef("--%s: %s is given twice", flag, key)
		}
		p[key] = value
	}
	return p, nil
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// need refuses parameters that lack one of keys.
func (p params) need(flag string, keys ...string) error {
	for _, k := range keys {
		if p[k] == "" {
			return command.Usagef("--%s: %s is missing", flag, k)
		}
	}
	return nil
}

// split splits PREFIX/NAME, of which the prefix may be missing.
func split(flag, text string) (prefix, name string, err error) {
	parts := strings.Split(text, "/")
	switch {
	case len(parts) == 1 && parts[0] != "":
		return "", parts[0], nil
	case len(parts) == 2 && parts[0] != "" && parts[1] != "":
		return parts[0], parts[1], nil
	}
	return "", "", command.Usagef("--%s: %q is neither NAME nor PREFIX/NAME", flag, text)
}

// local is a name in the machine's own namespace.
func local(flag, text string) (string, error) {
	namespace, name, err := split(flag, text)
	if err != nil {
		return "", err
	}
	if namespace != "" {
		return "", command.Usagef("--%s: src must be in the namespace of the machine: say src:%s", flag, name)
	}
	return name, nil
}

// label refuses a name that no volume can have.
func label(flag, name string) error {
	if errs := validation.IsDNS1123Label(name); len(errs) > 0 {
		return command.Usagef("--%s: name %q: %s; choose one with name:NAME", flag, name, strings.Join(errs, ", "))
	}
	return nil
}
