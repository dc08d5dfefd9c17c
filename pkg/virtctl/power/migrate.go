package power

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// migrationOf is the label of a migration with the name of its instance.
const migrationOf = "kubevirt.io/vmi-name"

func newMigrate(e *command.Environment) *cobra.Command {
	var dry bool
	var added string
	cmd := &cobra.Command{
		Use: "migrate VM", Short: "Move a running machine to another node", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Example: e.Example(`
  # To any node that suits it
  {{program}} migrate web

  # To a node with this label
  {{program}} migrate web --addedNodeSelector=rack=12

  # Watch it move
  kubectl get vmim -w`),
		RunE: func(cmd *cobra.Command, args []string) error {
			selector, err := nodeSelector(added)
			if err != nil {
				return err
			}
			return act(cmd.Context(), e, command.Machines, args[0], "migrate", &virtv1.MigrateOptions{AddedNodeSelector: selector, DryRun: dryRunOption(dry)}, "was scheduled to migrate", dry)
		},
	}
	command.DryRunFlag(cmd, &dry)
	cmd.Flags().StringVar(&added, "addedNodeSelector", "", "labels that the target must have besides those that the machine asks for: KEY=VALUE, separated by commas")
	return cmd
}

func newMigrateCancel(e *command.Environment) *cobra.Command {
	return &cobra.Command{
		Use: "migrate-cancel VM", Short: "End a migration; the machine stays where it is", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteMachines,
		Example: e.Example(`
  # End the migration of the machine web
  {{program}} migrate-cancel web`),
		RunE: func(cmd *cobra.Command, args []string) error {
			return cancelMigrations(cmd.Context(), e, args[0], false)
		},
	}
}

// cancelMigrations deletes the migrations of an instance that have not ended. Finding none is an error unless the caller
// does not mind.
func cancelMigrations(ctx context.Context, e *command.Environment, name string, noneIsFine bool) error {
	c, err := e.Connect()
	if err != nil {
		return err
	}
	migrations := c.Virt.KubevirtV1().VirtualMachineInstanceMigrations(c.Namespace)
	list, err := migrations.List(ctx, metav1.ListOptions{LabelSelector: labels.Set{migrationOf: name}.String()})
	if err != nil {
		return fmt.Errorf("listing the migrations of %s: %w", name, err)
	}
	found := false
	for i := range list.Items {
		m := &list.Items[i]
		if m.Status.Phase == virtv1.MigrationSucceeded || m.Status.Phase == virtv1.MigrationFailed {
			continue
		}
		found = true
		if err := migrations.Delete(ctx, m.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("ending migration %s: %w", m.Name, err)
		}
		fmt.Fprintf(e.Out, "VM %s was scheduled to migrate-cancel: migration %s ends\n", name, m.Name)
	}
	if !found && !noneIsFine {
		return fmt.Errorf("found no migration to cancel for %s", name)
	}
	return nil
}
