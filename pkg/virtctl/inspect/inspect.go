// Package inspect holds the commands that show what machines need and what the cluster permits, and the log levels of its
// programs.
package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// New returns the commands of this package.
func New(e *command.Environment) []*cobra.Command {
	return []*cobra.Command{newExpand(e), newObjectGraph(e), command.NotYet(newPermittedDevices(e), "spec.configuration.permittedHostDevices in effect"), newAdm(e)}
}

func newExpand(e *command.Environment) *cobra.Command {
	var machine, file string
	var output *command.Output
	cmd := &cobra.Command{
		Use: "expand (--vm NAME | --file FILE)", Short: "Show a machine with its instance type and preference written out", Args: command.Args(cobra.NoArgs),
		Example: e.Example(`
  # A machine of the cluster
  {{program}} expand --vm web

  # A manifest that has not been applied, from a file or standard input
  {{program}} expand --file web.yaml
  {{program}} create vm --instancetype u1.small | {{program}} expand --file -`),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			if (machine == "") == (file == "") {
				return command.Usagef("say either --vm NAME or --file FILE")
			}
			raw, err := expand(cmd, e, machine, file)
			if err != nil {
				return err
			}
			return output.Print(e.Out, json.RawMessage(raw))
		},
	}
	cmd.Flags().StringVar(&machine, "vm", "", "name of a machine")
	cmd.Flags().StringVarP(&file, "file", "f", "", "manifest of a machine, - for standard input")
	_ = cmd.RegisterFlagCompletionFunc("vm", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return e.CompleteMachines(cmd, nil, typed)
	})
	output = command.OutputFlag(cmd, command.YAML, command.JSON, command.JSONPath)
	return cmd
}

func expand(cmd *cobra.Command, e *command.Environment, machine, file string) ([]byte, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	if machine != "" {
		raw, err := c.Get(cmd.Context(), command.Object(c.Namespace, command.Machines, machine, "expand-spec"), nil)
		if err != nil {
			return nil, fmt.Errorf("expanding machine %s: %w", machine, err)
		}
		return raw, nil
	}
	text, err := read(e.In, file)
	if err != nil {
		return nil, err
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	raw, err := c.Put(cmd.Context(), path.Join(command.Group, "namespaces", c.Namespace, "expand-vm-spec"), json.RawMessage(converted))
	if err != nil {
		return nil, fmt.Errorf("expanding %s: %w", file, err)
	}
	return raw, nil
}

func read(stdin io.Reader, file string) ([]byte, error) {
	if file != "-" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, command.Usage(err)
		}
		return text, nil
	}
	text, err := io.ReadAll(stdin)
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	return text, nil
}

func newObjectGraph(e *command.Environment) *cobra.Command {
	var instance, required bool
	var selector map[string]string
	var output *command.Output
	cmd := &cobra.Command{
		Use: "objectgraph (VM|VMI)", Short: "Show the objects that a machine needs", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Long: "Shows the objects that a machine needs: its instance, volumes, secrets and what these need in turn. Programs for backup and recovery read it.",
		Example: e.Example(`
  # Everything, as JSON
  {{program}} objectgraph web

  # As a tree
  {{program}} objectgraph web -o tree

  # Of an instance that no machine owns, its storage alone, without what it also runs without
  {{program}} objectgraph scratch --vmi --selector=kubevirt.io/dependency-type=storage --exclude-optional`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			c, err := e.Connect()
			if err != nil {
				return err
			}
			include := !required
			options := &virtv1.ObjectGraphOptions{IncludeOptionalNodes: &include}
			if len(selector) > 0 {
				options.LabelSelector = &metav1.LabelSelector{MatchLabels: selector}
			}
			target := command.Target{Kind: command.KindVM, Name: args[0], Namespace: c.Namespace}
			if instance {
				target.Kind = command.KindVMI
			}
			raw, err := c.Get(cmd.Context(), target.Path("objectgraph"), options)
			if err != nil {
				return fmt.Errorf("object graph of %s: %w", target, err)
			}
			if !output.Is(tree) {
				return output.Print(e.Out, json.RawMessage(raw))
			}
			var node virtv1.ObjectGraphNode
			if err := json.Unmarshal(raw, &node); err != nil {
				return fmt.Errorf("reading the answer: %w", err)
			}
			printTree(e.Out, &node, "", "")
			return nil
		},
	}
	cmd.Flags().BoolVar(&instance, "vmi", false, "start at the instance instead of the machine")
	cmd.Flags().BoolVar(&required, "exclude-optional", false, "leave out what the machine also runs without")
	cmd.Flags().StringToStringVar(&selector, "selector", nil, "labels that an object must have in the graph: KEY=VALUE")
	output = command.OutputFlag(cmd, command.JSON, command.YAML, tree, command.JSONPath)
	return cmd
}

// tree is the form of output that shows which object needs which.
const tree = "tree"

func printTree(out io.Writer, node *virtv1.ObjectGraphNode, first, rest string) {
	ref := node.ObjectReference
	name := ref.Kind + "/" + ref.Name
	if ref.Namespace != nil && *ref.Namespace != "" {
		name = ref.Kind + "/" + *ref.Namespace + "/" + ref.Name
	}
	if node.Optional != nil && *node.Optional {
		name += " (optional)"
	}
	fmt.Fprintln(out, first+name)
	for i := range node.Children {
		if i == len(node.Children)-1 {
			printTree(out, &node.Children[i], rest+"└─ ", rest+"   ")
		} else {
			printTree(out, &node.Children[i], rest+"├─ ", rest+"│  ")
		}
	}
}

// permitted is one device that machines may ask for.
type permitted struct {
	ResourceName string `json:"resourceName"`
	Kind         string `json:"kind"`
	Selector     string `json:"selector"`
}

func newPermittedDevices(e *command.Environment) *cobra.Command {
	var output *command.Output
	cmd := &cobra.Command{
		Use: "permitted-devices", Short: "List the host devices that machines may ask for", Args: command.Args(cobra.NoArgs),
		Example: e.Example(`
  # What the cluster permits
  {{program}} permitted-devices

  # Names for a manifest
  {{program}} permitted-devices -o jsonpath='{[*].resourceName}'`),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			c, err := e.Connect()
			if err != nil {
				return err
			}
			kv, err := theKubeVirt(cmd, c)
			if err != nil {
				return err
			}
			devices := permittedDevices(kv.Spec.Configuration.PermittedHostDevices)
			if !output.Is(command.Table) {
				return output.Print(e.Out, devices)
			}
			if len(devices) == 0 {
				e.Say("No host device is permitted: list them in spec.configuration.permittedHostDevices of kubevirt/%s in namespace %s", kv.Name, kv.Namespace)
				return nil
			}
			var rows [][]string
			for _, d := range devices {
				rows = append(rows, []string{d.ResourceName, d.Kind, d.Selector})
			}
			return command.Rows(e.Out, []string{"RESOURCE", "KIND", "SELECTOR"}, rows)
		},
	}
	output = command.OutputFlag(cmd, command.Table, command.JSON, command.YAML, command.JSONPath)
	return cmd
}

func permittedDevices(p *virtv1.PermittedHostDevices) []permitted {
	devices := []permitted{}
	if p == nil {
		return devices
	}
	for _, d := range p.PCIHostDevices {
		devices = append(devices, permitted{d.ResourceName, "PCI", d.PCIVendorSelector})
	}
	for _, d := range p.MediatedDevices {
		devices = append(devices, permitted{d.ResourceName, "mediated", d.MdevNameSelector})
	}
	for _, d := range p.USB {
		var selectors []string
		for _, s := range d.Selectors {
			selectors = append(selectors, s.Vendor+":"+s.Product)
		}
		devices = append(devices, permitted{d.ResourceName, "USB", strings.Join(selectors, ",")})
	}
	slices.SortStableFunc(devices, func(a, b permitted) int { return strings.Compare(a.ResourceName, b.ResourceName) })
	return devices
}

// theKubeVirt finds the one object that holds the cluster's configuration.
func theKubeVirt(cmd *cobra.Command, c *command.Cluster) (*virtv1.KubeVirt, error) {
	list, err := c.Virt.KubevirtV1().KubeVirts(metav1.NamespaceAll).List(cmd.Context(), metav1.ListOptions{Limit: 2})
	switch {
	case err != nil:
		return nil, fmt.Errorf("listing KubeVirt objects in all namespaces: %w", err)
	case len(list.Items) == 0:
		return nil, errors.New("the cluster has no KubeVirt object: is Virtplane installed?")
	case len(list.Items) > 1:
		return nil, errors.New("the cluster has more than one KubeVirt object; there must be one")
	}
	return &list.Items[0], nil
}
