package command

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kinds that a user may name.
const (
	KindVM  = "vm"
	KindVMI = "vmi"
)

// Target is a machine or an instance as a user names it.
type Target struct {
	// Kind is KindVM or KindVMI.
	Kind string
	Name string
	// Namespace is empty when the user left it to the kubeconfig.
	Namespace string
}

// Kind reads one of the spellings of the two kinds.
func Kind(word string) (string, error) {
	switch strings.ToLower(word) {
	case KindVM, "vms", "virtualmachine", "virtualmachines":
		return KindVM, nil
	case KindVMI, "vmis", "virtualmachineinstance", "virtualmachineinstances":
		return KindVMI, nil
	}
	return "", Usagef("%q is neither vm nor vmi", word)
}

// ParseTarget reads NAME, KIND/NAME or KIND/NAME/NAMESPACE. A bare name is an instance, which bears the name of its machine.
func ParseTarget(text string) (Target, error) {
	parts := strings.Split(text, "/")
	t := Target{Kind: KindVMI}
	switch len(parts) {
	case 1:
		t.Name = parts[0]
	case 2, 3:
		kind, err := Kind(parts[0])
		if err != nil {
			return Target{}, Usagef("target %q: %w", text, err)
		}
		t.Kind, t.Name = kind, parts[1]
		if len(parts) == 3 {
			if t.Namespace = parts[2]; t.Namespace == "" {
				return Target{}, Usagef("target %q ends before the namespace: say KIND/NAME or KIND/NAME/NAMESPACE", text)
			}
		}
	default:
		return Target{}, Usagef("target %q has too many parts: say NAME, KIND/NAME or KIND/NAME/NAMESPACE", text)
	}
	if t.Name == "" {
		return Target{}, Usagef("target %q names nothing: say NAME, KIND/NAME or KIND/NAME/NAMESPACE", text)
	}
	return t, nil
}

// Resource is the plural of the target's kind.
func (t Target) Resource() string {
	if t.Kind == KindVM {
		return Machines
	}
	return Instances
}

// In is the target with a namespace filled in.
func (t Target) In(namespace string) Target {
	if t.Namespace == "" {
		t.Namespace = namespace
	}
	return t
}

func (t Target) String() string { return t.Kind + "/" + t.Name }

// Path is the path of a subresource of the target.
func (t Target) Path(subresource string) string {
	return Object(t.Namespace, t.Resource(), t.Name, subresource)
}

// Open opens a stream of a target. A machine that does not run is told apart from one that does not exist.
func (c *Cluster) Open(ctx context.Context, t Target, subresource string) (*Stream, error) {
	stream, err := c.Stream(ctx, t.Path(subresource))
	if err == nil {
		return stream, nil
	}
	name, _, _ := strings.Cut(subresource, "?")
	return nil, fmt.Errorf("%s of %s: %w", name, t, c.Explain(ctx, t, err))
}

// Explain says more than that an instance was not found when its machine exists: that it is not running, and how to start it. A
// machine itself is found, and then refuses with a conflict.
func (c *Cluster) Explain(ctx context.Context, t Target, err error) error {
	if code := Code(err); code != http.StatusNotFound && (code != http.StatusConflict || t.Kind != KindVM) {
		return err
	}
	vm, vmErr := c.Virt.KubevirtV1().VirtualMachines(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
	if vmErr != nil || vm.Status.Created {
		return err
	}
	return fmt.Errorf("the machine is not running; start it: %s start %s -n %s", c.env.Program, t.Name, t.Namespace)
}

// pageOfNames is how many names completion offers.
const pageOfNames = 500

// CompleteMachines offers the names of the machines that exist, for a command whose first argument is one.
func (e *Environment) CompleteMachines(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return e.names(cmd, KindVM)
}

// CompleteInstances offers the names of the instances that exist, for a command whose first argument is one.
func (e *Environment) CompleteInstances(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return e.names(cmd, KindVMI)
}

// CompleteKindAndName offers vm and vmi, then the names of that kind.
func (e *Environment) CompleteKindAndName(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return []string{KindVM, KindVMI}, cobra.ShellCompDirectiveNoFileComp
	case 1:
		if kind, err := Kind(args[0]); err == nil {
			return e.names(cmd, kind)
		}
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// CompleteTarget offers vm/NAME and vmi/NAME, and the bare names of instances while no slash was typed.
func (e *Environment) CompleteTarget(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	user, rest, found := strings.Cut(typed, "@")
	prefix := user + "@"
	if !found {
		prefix, rest = "", typed
	}
	word, _, slashed := strings.Cut(rest, "/")
	if !slashed {
		names, directive := e.names(cmd, KindVMI)
		names = append(names, KindVM+"/", KindVMI+"/")
		return prefixed(prefix, names), directive | cobra.ShellCompDirectiveNoSpace
	}
	kind, err := Kind(word)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, directive := e.names(cmd, kind)
	return prefixed(prefix+word+"/", names), directive
}

func prefixed(prefix string, words []string) []string {
	for i := range words {
		words[i] = prefix + words[i]
	}
	return words
}

func (e *Environment) names(cmd *cobra.Command, kind string) ([]string, cobra.ShellCompDirective) {
	c, err := e.Connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	options := metav1.ListOptions{Limit: pageOfNames}
	if kind == KindVM {
		list, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).List(cmd.Context(), options)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
	} else {
		list, err := c.Virt.KubevirtV1().VirtualMachineInstances(c.Namespace).List(cmd.Context(), options)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
