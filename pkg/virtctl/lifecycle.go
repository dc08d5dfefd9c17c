package virtctl

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	machines  = "virtualmachines"
	instances = "virtualmachineinstances"
)

func dryRun(cmd *cobra.Command, on *bool) {
	cmd.Flags().BoolVar(on, "dry-run", false, "send the request, have it checked, change nothing")
}

func dryRunOption(on bool) []string {
	if on {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// action runs one action on a machine and tells what became of it.
func (e *environment) action(ctx context.Context, resource, name, action string, body any, dry bool) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	if err := c.put(ctx, c.object(resource, name, action), body); err != nil {
		return fmt.Errorf("%s %s: %w", action, name, err)
	}
	kind := "VM"
	if resource == instances {
		kind = "VMI"
	}
	suffix := ""
	if dry {
		suffix = " (dry run)"
	}
	fmt.Fprintf(e.Out, "%s %s was scheduled to %s%s\n", kind, name, action, suffix)
	return nil
}

func (e *environment) newStart() *cobra.Command {
	var paused, dry bool
	cmd := &cobra.Command{
		Use: "start VM", Short: "Start a virtual machine", Args: cobra.ExactArgs(1), ValidArgsFunction: e.completeMachines,
		Example: e.example(`
  # Start the machine web
  {{program}} start web

  # Start it with its CPUs stopped, to attach to its console before the first instruction
  {{program}} start web --paused`),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.action(cmd.Context(), machines, args[0], "start", &virtv1.StartOptions{Paused: paused, DryRun: dryRunOption(dry)}, dry)
		},
	}
	cmd.Flags().BoolVar(&paused, "paused", false, "start with the guest's CPUs stopped; unpause lets it run")
	dryRun(cmd, &dry)
	return cmd
}

// gracePeriod is a flag pair: --force needs --grace-period, as a reminder that the guest is cut off.
type gracePeriod struct {
	seconds int64
	force   bool
}

func (g *gracePeriod) flags(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&g.seconds, "grace-period", -1, "seconds that the guest has to shut down; with --force only")
	cmd.Flags().BoolVar(&g.force, "force", false, "cut the guest off when --grace-period is over; data that it has not written is lost")
}

func (g *gracePeriod) value() (*int64, error) {
	switch {
	case !g.force && g.seconds == -1:
		return nil, nil
	case g.force && g.seconds == -1:
		return nil, errors.New("--force needs --grace-period=SECONDS (0 cuts the guest off at once)")
	case g.seconds < 0:
		return nil, fmt.Errorf("--grace-period must be 0 or more seconds, not %d", g.seconds)
	case !g.force:
		return nil, errors.New("--grace-period needs --force")
	}
	return &g.seconds, nil
}

func (e *environment) newStop() *cobra.Command {
	var grace gracePeriod
	var dry bool
	cmd := &cobra.Command{
		Use: "stop VM", Short: "Stop a virtual machine", Args: cobra.ExactArgs(1), ValidArgsFunction: e.completeMachines,
		Example: e.example(`
  # Ask the guest to shut down
  {{program}} stop web

  # Pull the plug
  {{program}} stop web --force --grace-period=0`),
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds, err := grace.value()
			if err != nil {
				return err
			}
			return e.action(cmd.Context(), machines, args[0], "stop", &virtv1.StopOptions{GracePeriod: seconds, DryRun: dryRunOption(dry)}, dry)
		},
	}
	grace.flags(cmd)
	dryRun(cmd, &dry)
	return cmd
}

func (e *environment) newRestart() *cobra.Command {
	var grace gracePeriod
	var dry bool
	cmd := &cobra.Command{
		Use: "restart VM", Short: "Restart a virtual machine with a new instance", Args: cobra.ExactArgs(1), ValidArgsFunction: e.completeMachines,
		Example: e.example(`
  # Shut the guest down and start it again, with edits of its template applied
  {{program}} restart web

  # Do not wait for the guest
  {{program}} restart web --force --grace-period=0`),
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds, err := grace.value()
			if err != nil {
				return err
			}
			return e.action(cmd.Context(), machines, args[0], "restart", &virtv1.RestartOptions{GracePeriodSeconds: seconds, DryRun: dryRunOption(dry)}, dry)
		},
	}
	grace.flags(cmd)
	dryRun(cmd, &dry)
	return cmd
}

// newPause makes pause and unpause, which take a machine or an instance.
func (e *environment) newPause(action string) *cobra.Command {
	var dry bool
	short := map[string]string{"pause": "Stop the CPUs of a running machine, keeping its memory", "unpause": "Let a paused machine run on"}[action]
	cmd := &cobra.Command{
		Use: action + " (vm|vmi) NAME", Short: short, Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{"vm", "vmi"}, cobra.ShellCompDirectiveNoFileComp
			}
			return e.completeMachines(cmd, nil, prefix)
		},
		Example: e.example(fmt.Sprintf(`
  # Name the machine
  {{program}} %s vm web

  # or an instance that no machine owns
  {{program}} %s vmi scratch`, action, action)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var body any = &virtv1.PauseOptions{DryRun: dryRunOption(dry)}
			if action == "unpause" {
				body = &virtv1.UnpauseOptions{DryRun: dryRunOption(dry)}
			}
			switch args[0] {
			case "vm", "vms", "virtualmachine", "virtualmachines", "vmi", "vmis", "virtualmachineinstance", "virtualmachineinstances":
				// An instance bears the name of its machine.
				return e.action(cmd.Context(), instances, args[1], action, body, dry)
			}
			return fmt.Errorf("%q is neither vm nor vmi: say %s vm NAME or %s vmi NAME", args[0], action, action)
		},
	}
	dryRun(cmd, &dry)
	return cmd
}

// completeMachines offers the names of the machines that exist.
func (e *environment) completeMachines(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := e.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, err := c.clients.KubevirtV1().VirtualMachines(c.namespace).List(cmd.Context(), metav1.ListOptions{Limit: 500})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, vm := range list.Items {
		names = append(names, vm.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
