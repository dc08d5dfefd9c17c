// Package power holds the commands that start, stop and hold up machines and move them between nodes.
package power

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// New returns the commands of this package.
func New(e *command.Environment) []*cobra.Command {
	return []*cobra.Command{
		newStart(e), newStop(e), newRestart(e), newPause(e, "pause"), newPause(e, "unpause"),
		newInstanceAction(e, "soft-reboot", "softreboot", "was asked to reboot", "Ask the guest to reboot, through its agent or ACPI", `
  # The guest shuts its programs down and boots again, without a new instance
  {{program}} soft-reboot web`),
		newInstanceAction(e, "reset", "reset", "was reset", "Reset a running machine, as its reset button would", `
  # Nothing is shut down: what the guest has not written is lost
  {{program}} reset web`),
		command.NotYet(newMigrate(e), "virtualmachines/migrate"), command.NotYet(newMigrateCancel(e), "virtualmachines/migrate"), newEvacuateCancel(e),
	}
}

func dryRunOption(on bool) []string {
	if on {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// act runs one action and tells what became of it.
func act(ctx context.Context, e *command.Environment, resource, name, action string, body any, outcome string, dry bool) error {
	c, err := e.Connect()
	if err != nil {
		return err
	}
	if _, err := c.Put(ctx, command.Object(c.Namespace, resource, name, action), body); err != nil {
		return fmt.Errorf("%s %s: %w", action, name, err)
	}
	kind := "VM"
	if resource == command.Instances {
		kind = "VMI"
	}
	if dry {
		outcome += " (dry run)"
	}
	fmt.Fprintf(e.Out, "%s %s %s\n", kind, name, outcome)
	return nil
}

func newStart(e *command.Environment) *cobra.Command {
	var paused, dry bool
	cmd := &cobra.Command{
		Use: "start VM", Short: "Start a virtual machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Example: e.Example(`
  # Start the machine web
  {{program}} start web

  # Start it with its CPUs stopped, to attach to its console before the first instruction
  {{program}} start web --paused`),
		RunE: func(cmd *cobra.Command, args []string) error {
			return act(cmd.Context(), e, command.Machines, args[0], "start", &virtv1.StartOptions{Paused: paused, DryRun: dryRunOption(dry)}, "was scheduled to start", dry)
		},
	}
	cmd.Flags().BoolVar(&paused, "paused", false, "start with the guest's CPUs stopped; unpause lets it run")
	command.DryRunFlag(cmd, &dry)
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
		return nil, command.Usagef("--force needs --grace-period=SECONDS (0 cuts the guest off at once)")
	case g.seconds < 0:
		return nil, command.Usagef("--grace-period must be 0 or more seconds, not %d", g.seconds)
	case !g.force:
		return nil, command.Usagef("--grace-period needs --force")
	}
	return &g.seconds, nil
}

func newStop(e *command.Environment) *cobra.Command {
	var grace gracePeriod
	var dry bool
	cmd := &cobra.Command{
		Use: "stop VM", Short: "Stop a virtual machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Example: e.Example(`
  # Ask the guest to shut down
  {{program}} stop web

  # Pull the plug
  {{program}} stop web --force --grace-period=0`),
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds, err := grace.value()
			if err != nil {
				return err
			}
			return act(cmd.Context(), e, command.Machines, args[0], "stop", &virtv1.StopOptions{GracePeriod: seconds, DryRun: dryRunOption(dry)}, "was scheduled to stop", dry)
		},
	}
	grace.flags(cmd)
	command.DryRunFlag(cmd, &dry)
	return cmd
}

func newRestart(e *command.Environment) *cobra.Command {
	var grace gracePeriod
	var dry bool
	cmd := &cobra.Command{
		Use: "restart VM", Short: "Restart a virtual machine with a new instance", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Example: e.Example(`
  # Shut the guest down and start it again, with edits of its template applied
  {{program}} restart web

  # Do not wait for the guest
  {{program}} restart web --force --grace-period=0`),
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds, err := grace.value()
			if err != nil {
				return err
			}
			return act(cmd.Context(), e, command.Machines, args[0], "restart", &virtv1.RestartOptions{GracePeriodSeconds: seconds, DryRun: dryRunOption(dry)}, "was scheduled to restart", dry)
		},
	}
	grace.flags(cmd)
	command.DryRunFlag(cmd, &dry)
	return cmd
}

// newPause makes pause and unpause, which take a machine or an instance.
func newPause(e *command.Environment, action string) *cobra.Command {
	var dry bool
	short := map[string]string{"pause": "Stop the CPUs of a running machine, keeping its memory", "unpause": "Let a paused machine run on"}[action]
	cmd := &cobra.Command{
		Use: action + " (vm|vmi) NAME", Short: short, Args: command.Args(cobra.ExactArgs(2)), ValidArgsFunction: e.CompleteKindAndName,
		Example: e.Example(fmt.Sprintf(`
  # Name the machine
  {{program}} %s vm web

  # or an instance that no machine owns
  {{program}} %s vmi scratch`, action, action)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := command.Kind(args[0]); err != nil {
				return command.Usagef("%w: say %s vm NAME or %s vmi NAME", err, action, action)
			}
			var body any = &virtv1.PauseOptions{DryRun: dryRunOption(dry)}
			if action == "unpause" {
				body = &virtv1.UnpauseOptions{DryRun: dryRunOption(dry)}
			}
			// An instance bears the name of its machine.
			return act(cmd.Context(), e, command.Instances, args[1], action, body, "was scheduled to "+action, dry)
		},
	}
	command.DryRunFlag(cmd, &dry)
	return cmd
}

// newInstanceAction makes a command that calls an action of an instance without options.
func newInstanceAction(e *command.Environment, name, action, outcome, short, example string) *cobra.Command {
	return &cobra.Command{
		Use: name + " VMI", Short: short, Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteInstances, Example: e.Example(example),
		RunE: func(cmd *cobra.Command, args []string) error {
			return act(cmd.Context(), e, command.Instances, args[0], action, nil, outcome, false)
		},
	}
}

func newEvacuateCancel(e *command.Environment) *cobra.Command {
	var dry, migration bool
	cmd := &cobra.Command{
		Use: "evacuate-cancel (vm|vmi) NAME", Short: "Keep a machine on a node that is being drained", Args: command.Args(cobra.ExactArgs(2)), ValidArgsFunction: e.CompleteKindAndName,
		Example: e.Example(`
  # Let the machine stay where it is
  {{program}} evacuate-cancel vm web

  # and end the migration that has already begun
  {{program}} evacuate-cancel vm web --migrate-cancel`),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := command.Kind(args[0])
			if err != nil {
				return command.Usagef("%w: say evacuate-cancel vm NAME or evacuate-cancel vmi NAME", err)
			}
			resource := command.Target{Kind: kind}.Resource()
			body := &virtv1.EvacuateCancelOptions{DryRun: dryRunOption(dry), EvacuationNodeName: leaves(cmd.Context(), e, args[1])}
			if err := act(cmd.Context(), e, resource, args[1], "evacuate/cancel", body, "stays on its node", dry); err != nil {
				return err
			}
			if migration && !dry {
				return cancelMigrations(cmd.Context(), e, args[1], true)
			}
			return nil
		},
	}
	command.DryRunFlag(cmd, &dry)
	cmd.Flags().BoolVar(&migration, "migrate-cancel", false, "end a migration of it that has begun")
	return cmd
}

// leaves is the node that an instance is to leave, so that the server can refuse if it is another by then; empty if that
// cannot be read.
func leaves(ctx context.Context, e *command.Environment, name string) string {
	c, err := e.Connect()
	if err != nil {
		return "" // the action itself tells why
	}
	vmi, err := c.Virt.KubevirtV1().VirtualMachineInstances(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return vmi.Status.EvacuationNodeName
}

// nodeSelector is a flag of key=value pairs.
func nodeSelector(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	selector := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, command.Usagef("--addedNodeSelector must be KEY=VALUE, separated by commas; %q is not", pair)
		}
		selector[key] = value
	}
	return selector, nil
}
