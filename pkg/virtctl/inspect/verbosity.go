package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

const (
	// defaultVerbosity is the log level of a program that nothing is said about.
	defaultVerbosity = 2
	maxVerbosity     = 9
	// show is the value of a flag that was given without one.
	show = "show"
	// everything is the value of --reset without names.
	everything = "all"
	// verbosityLabel of a machine's template is the log level of its launcher.
	verbosityLabel = "logVerbosity"
)

// program is one whose log level the cluster's configuration holds.
type program struct {
	flag, field string
	level       func(*virtv1.LogVerbosity) *int32
}

var programs = []program{
	{"virt-api", "virtAPI", func(v *virtv1.LogVerbosity) *int32 { return v.VirtAPI }},
	{"virt-controller", "virtController", func(v *virtv1.LogVerbosity) *int32 { return v.VirtController }},
	{"virt-handler", "virtHandler", func(v *virtv1.LogVerbosity) *int32 { return v.VirtHandler }},
	{"virt-launcher", "virtLauncher", func(v *virtv1.LogVerbosity) *int32 { return v.VirtLauncher }},
	{"virt-operator", "virtOperator", func(v *virtv1.LogVerbosity) *int32 { return v.VirtOperator }},
}

func newAdm(e *command.Environment) *cobra.Command {
	cmd := &cobra.Command{Use: "adm", Short: "Administer the installation", Args: command.Args(cobra.NoArgs)}
	cmd.AddCommand(newLogVerbosity(e))
	return cmd
}

// verbosity is what the flags of log-verbosity say.
type verbosity struct {
	values   map[string]*string // by flag
	all      string
	reset    []string
	machines []string
	levels   []string
}

func newLogVerbosity(e *command.Environment) *cobra.Command {
	v := &verbosity{values: map[string]*string{}}
	cmd := &cobra.Command{
		Use: "log-verbosity", Short: "Show, set or reset how much programs and launchers log (0 to 9)", Args: command.Args(cobra.NoArgs),
		Long: "Shows, sets or resets how much the programs of the installation log, and the launchers of single machines. A machine's launcher takes a new level at its next start; what is shown for a running machine is what its launcher runs with. A level needs the form --flag=LEVEL, with the equals sign; a flag without one shows the level.",
		Example: e.Example(`
  # Show the levels of all programs, or of one
  {{program}} adm log-verbosity --all
  {{program}} adm log-verbosity --virt-handler

  # Set them
  {{program}} adm log-verbosity --all=3 --virt-handler=7

  # Back to the default
  {{program}} adm log-verbosity --reset

  # Show, set and reset the launcher of a machine
  {{program}} adm log-verbosity --vm=web
  {{program}} adm log-verbosity --vm=web --level=5
  {{program}} adm log-verbosity --reset=web`),
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd, e) },
	}
	for _, p := range programs {
		v.values[p.flag] = new(string)
		cmd.Flags().StringVar(v.values[p.flag], p.flag, "", "show, or with =LEVEL set, the level of "+p.flag)
		cmd.Flags().Lookup(p.flag).NoOptDefVal = show
	}
	cmd.Flags().StringVar(&v.all, "all", "", "show, or with =LEVEL set, the level of all programs")
	cmd.Flags().Lookup("all").NoOptDefVal = show
	cmd.Flags().StringSliceVar(&v.reset, "reset", nil, "back to the default: of all programs, or with =NAME of a machine's launcher")
	cmd.Flags().Lookup("reset").NoOptDefVal = everything
	cmd.Flags().StringSliceVar(&v.machines, "vm", nil, "name of a machine")
	cmd.Flags().StringSliceVar(&v.levels, "level", nil, "level for the machine of --vm at the same place")
	_ = cmd.RegisterFlagCompletionFunc("vm", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return e.CompleteMachines(cmd, nil, typed)
	})
	return cmd
}

func level(flag, text string) (int32, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxVerbosity {
		return 0, command.Usagef("--%s must be a number from 0 to %d, not %q", flag, maxVerbosity, text)
	}
	return int32(n), nil
}

// plan is what to do, once the flags make sense.
type plan struct {
	show map[string]bool  // flags of programs
	set  map[string]int32 // by field; absent with reset means null
	// reset says whether what is not set goes back to its default.
	reset         bool
	showMachines  []string
	setMachines   map[string]int32
	resetMachines []string
}

func (v *verbosity) plan() (*plan, error) {
	p := &plan{show: map[string]bool{}, set: map[string]int32{}, setMachines: map[string]int32{}}
	for _, prog := range programs {
		text, flag := *v.values[prog.flag], prog.flag
		if text == "" {
			text, flag = v.all, "all"
		}
		switch text {
		case "":
		case show:
			p.show[prog.flag] = true
		default:
			n, err := level(flag, text)
			if err != nil {
				return nil, err
			}
			p.set[prog.field] = n
		}
	}
	for _, name := range v.reset {
		if name == everything {
			p.reset = true
		} else {
			p.resetMachines = append(p.resetMachines, name)
		}
	}
	switch {
	case len(v.levels) == 0:
		p.showMachines = v.machines
	case len(v.levels) != len(v.machines):
		return nil, command.Usagef("--level was given %d times for %d of --vm; give one for each machine", len(v.levels), len(v.machines))
	default:
		for i, name := range v.machines {
			n, err := level("level", v.levels[i])
			if err != nil {
				return nil, err
			}
			p.setMachines[name] = n
		}
	}
	shows := len(p.show)+len(p.showMachines) > 0
	sets := len(p.set)+len(p.setMachines)+len(p.resetMachines) > 0 || p.reset
	switch {
	case shows && sets:
		return nil, command.Usagef("show levels and change them in two runs")
	case !shows && !sets:
		return nil, command.Usagef("say whose level: a program such as --virt-handler, --all, --reset, or --vm=NAME")
	}
	return p, nil
}

func (v *verbosity) run(cmd *cobra.Command, e *command.Environment) error {
	p, err := v.plan()
	if err != nil {
		return err
	}
	c, err := e.Connect()
	if err != nil {
		return err
	}
	if len(p.show)+len(p.showMachines) > 0 {
		return p.print(cmd, e, c)
	}
	return p.apply(cmd, e, c)
}

func (p *plan) print(cmd *cobra.Command, e *command.Environment, c *command.Cluster) error {
	kv, err := theKubeVirt(cmd, c)
	if err != nil {
		return err
	}
	configured := &virtv1.LogVerbosity{}
	if dev := kv.Spec.Configuration.DeveloperConfiguration; dev != nil && dev.LogVerbosity != nil {
		configured = dev.LogVerbosity
	}
	launcher := int32(defaultVerbosity)
	for _, prog := range programs {
		n := int32(defaultVerbosity)
		if l := prog.level(configured); l != nil {
			n = *l
		}
		if prog.flag == "virt-launcher" {
			launcher = n
		}
		if p.show[prog.flag] {
			fmt.Fprintf(e.Out, "%s = %d\n", prog.flag, n)
		}
	}
	for _, name := range p.showMachines {
		vm, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).Get(cmd.Context(), name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading machine %s: %w", name, err)
		}
		next := strconv.Itoa(int(launcher))
		if vm.Spec.Template != nil && vm.Spec.Template.Labels[verbosityLabel] != "" {
			next = vm.Spec.Template.Labels[verbosityLabel]
		}
		now := next
		vmi, err := c.Virt.KubevirtV1().VirtualMachineInstances(c.Namespace).Get(cmd.Context(), name, metav1.GetOptions{})
		switch {
		case err == nil:
			if now = vmi.Labels[verbosityLabel]; now == "" {
				now = strconv.Itoa(int(launcher))
			}
		case command.Code(err) != http.StatusNotFound:
			return fmt.Errorf("reading instance %s: %w", name, err)
		}
		fmt.Fprintf(e.Out, "%s = %s\n", name, now)
		if now != next {
			e.Say("%s: %s from its next start on", name, next)
		}
	}
	return nil
}

func (p *plan) apply(cmd *cobra.Command, e *command.Environment, c *command.Cluster) error {
	if p.reset || len(p.set) > 0 {
		kv, err := theKubeVirt(cmd, c)
		if err != nil {
			return err
		}
		levels := map[string]any{}
		for _, prog := range programs {
			if n, ok := p.set[prog.field]; ok {
				levels[prog.field] = n
			} else if p.reset {
				levels[prog.field] = nil
			}
		}
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"configuration": map[string]any{"developerConfiguration": map[string]any{"logVerbosity": levels}}}})
		if err != nil {
			return fmt.Errorf("encoding the change: %w", err)
		}
		if _, err := c.Virt.KubevirtV1().KubeVirts(kv.Namespace).Patch(cmd.Context(), kv.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("changing kubevirt/%s: %w", kv.Name, err)
		}
		fmt.Fprintf(e.Out, "kubevirt/%s log verbosity changed\n", kv.Name)
	}
	for _, name := range p.resetMachines {
		if err := labelMachine(cmd, e, c, name, nil); err != nil {
			return err
		}
	}
	for name, n := range p.setMachines {
		if err := labelMachine(cmd, e, c, name, strconv.Itoa(int(n))); err != nil {
			return err
		}
	}
	return nil
}

// labelMachine sets the level of a machine's launcher, or takes it away with nil.
func labelMachine(cmd *cobra.Command, e *command.Environment, c *command.Cluster, name string, value any) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{verbosityLabel: value}}}}})
	if err != nil {
		return fmt.Errorf("encoding the change: %w", err)
	}
	if _, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).Patch(cmd.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("changing machine %s: %w", name, err)
	}
	fmt.Fprintf(e.Out, "virtualmachine/%s log verbosity changed, from its next start on\n", name)
	return nil
}
