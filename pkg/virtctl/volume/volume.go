// Package volume holds the commands that change the volumes of a running machine and dump its memory to one.
package volume

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// New returns the commands of this package.
func New(e *command.Environment) []*cobra.Command {
	return []*cobra.Command{
		command.NotYet(newAdd(e), "virtualmachines/addvolume"), command.NotYet(newRemove(e), "virtualmachines/removevolume"), newMemoryDump(e),
	}
}

// completeClaims completes the names of claims for a flag.
func completeClaims(e *command.Environment, cmd *cobra.Command, flag string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		c, err := e.Connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		list, err := c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).List(cmd.Context(), metav1.ListOptions{Limit: 500})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

func newAdd(e *command.Environment) *cobra.Command {
	var name, serial, cache, kind, bus string
	var persist, dry bool
	cmd := &cobra.Command{
		Use: "addvolume VM", Short: "Add a volume to a running machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteInstances,
		Long: "Adds a DataVolume or a claim to a running machine as a further disk. Without --persist, the next start of the machine is without it.",
		Example: e.Example(`
  # Until the machine stops
  {{program}} addvolume web --volume-name data

  # For good, with a serial number that the guest sees
  {{program}} addvolume web --volume-name data --persist --serial 1234567890`),
		RunE: func(cmd *cobra.Command, args []string) error {
			disk := &virtv1.Disk{Name: name, Serial: serial, Cache: cache}
			if serial == "" {
				disk.Serial = name
			}
			switch kind {
			case "disk":
				disk.Disk = &virtv1.DiskTarget{Bus: bus}
			case "lun":
				disk.Lun = &virtv1.LunTarget{Bus: bus}
			case "cdrom":
				disk.Cdrom = &virtv1.CDRomTarget{Bus: bus}
			default:
				return command.Usagef("--disk-type must be disk, lun or cdrom, not %q", kind)
			}
			if cache != "" && !slices.Contains([]string{"none", "writethrough", "writeback"}, cache) {
				return command.Usagef("--cache must be none, writethrough or writeback, not %q", cache)
			}
			c, err := e.Connect()
			if err != nil {
				return err
			}
			source, err := sourceOf(cmd.Context(), c, name)
			if err != nil {
				return err
			}
			body := &virtv1.AddVolumeOptions{Name: name, Disk: disk, VolumeSource: source, DryRun: dryRun(dry)}
			if err := put(cmd.Context(), c, args[0], "addvolume", body, persist); err != nil {
				return fmt.Errorf("adding volume %s to %s: %w", name, args[0], err)
			}
			fmt.Fprintf(e.Out, "Successfully submitted add volume request to VM %s for volume %s%s\n", args[0], name, suffix(dry))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "volume-name", "", "DataVolume or claim; also the name of the volume in the machine")
	_ = cmd.MarkFlagRequired("volume-name")
	f.StringVar(&serial, "serial", "", "serial number of the disk; the volume's name if empty")
	f.StringVar(&cache, "cache", "", "none, writethrough or writeback; the server chooses if empty")
	f.StringVar(&kind, "disk-type", "disk", "disk, lun or cdrom")
	f.StringVar(&bus, "bus", "scsi", "scsi or virtio")
	f.BoolVar(&persist, "persist", false, "write it into the machine, so that the next start has it too")
	command.DryRunFlag(cmd, &dry)
	completeClaims(e, cmd, "volume-name")
	return cmd
}

func dryRun(on bool) []string {
	if on {
		return []string{metav1.DryRunAll}
	}
	return nil
}

func suffix(dry bool) string {
	if dry {
		return " (dry run)"
	}
	return ""
}

// sourceOf finds what bears the volume's name: a DataVolume, or a claim.
func sourceOf(ctx context.Context, c *command.Cluster, name string) (*virtv1.HotplugVolumeSource, error) {
	yes := true
	_, err := c.Get(ctx, "/apis/cdi.kubevirt.io/v1beta1/namespaces/"+c.Namespace+"/datavolumes/"+name, nil)
	switch {
	case err == nil:
		return &virtv1.HotplugVolumeSource{DataVolume: &virtv1.DataVolumeSource{Name: name, Hotpluggable: &yes}}, nil
	case command.Code(err) != http.StatusNotFound && command.Code(err) != http.StatusForbidden:
		return nil, fmt.Errorf("reading DataVolume %s: %w", name, err)
	}
	if _, err := c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
		return nil, fmt.Errorf("found neither a DataVolume nor a claim %s: %w", name, err)
	}
	return &virtv1.HotplugVolumeSource{PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: name, Hotpluggable: &yes}}, nil
}

// put calls the action of the machine, for good, or of the instance.
func put(ctx context.Context, c *command.Cluster, name, action string, body any, persist bool) error {
	target := command.Target{Kind: command.KindVMI, Name: name, Namespace: c.Namespace}
	if persist {
		target.Kind = command.KindVM
	}
	_, err := c.Put(ctx, target.Path(action), body)
	if err != nil && !persist {
		return c.Explain(ctx, target, err)
	}
	return err
}

func newRemove(e *command.Environment) *cobra.Command {
	var name string
	var persist, dry bool
	cmd := &cobra.Command{
		Use: "removevolume VM", Short: "Remove an added volume from a running machine", Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteInstances,
		Long: "Removes a volume that was added to a running machine; in the guest, unmount it first. A volume that stands in the machine is removed there, others from the instance alone.",
		Example: e.Example(`
  # Unplug the volume
  {{program}} removevolume web --volume-name data`),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.Connect()
			if err != nil {
				return err
			}
			body := &virtv1.RemoveVolumeOptions{Name: name, DryRun: dryRun(dry)}
			stands := persist
			if !stands {
				if stands, err = standsInMachine(cmd.Context(), c, args[0], name); err != nil {
					return err
				}
			}
			if err := put(cmd.Context(), c, args[0], "removevolume", body, stands); err != nil {
				return fmt.Errorf("removing volume %s from %s: %w", name, args[0], err)
			}
			fmt.Fprintf(e.Out, "Successfully submitted remove volume request to VM %s for volume %s%s\n", args[0], name, suffix(dry))
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "volume-name", "", "volume to remove")
	_ = cmd.MarkFlagRequired("volume-name")
	cmd.Flags().BoolVar(&persist, "persist", false, "remove it from the machine; found out by itself if not given")
	command.DryRunFlag(cmd, &dry)
	completeClaims(e, cmd, "volume-name")
	return cmd
}

// standsInMachine says whether the volume is one of the machine's own, not of the running instance alone.
func standsInMachine(ctx context.Context, c *command.Cluster, machine, volume string) (bool, error) {
	vm, err := c.Virt.KubevirtV1().VirtualMachines(c.Namespace).Get(ctx, machine, metav1.GetOptions{})
	switch {
	case command.Code(err) == http.StatusNotFound, command.Code(err) == http.StatusForbidden:
		return false, nil // an instance that no machine owns, or whose machine is not ours to read
	case err != nil:
		return false, fmt.Errorf("reading machine %s: %w", machine, err)
	}
	if vm.Spec.Template == nil {
		return false, nil
	}
	return slices.ContainsFunc(vm.Spec.Template.Spec.Volumes, func(v virtv1.Volume) bool { return v.Name == volume }), nil
}
