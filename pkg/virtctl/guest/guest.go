// Package guest holds the commands that ask the agent in a guest about it.
package guest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// New returns the commands of this package.
func New(e *command.Environment) []*cobra.Command {
	return []*cobra.Command{
		newQuery(e, "guestosinfo", "guestosinfo", "Show what the guest's agent tells about its operating system", printOSInfo),
		newQuery(e, "fslist", "filesystemlist", "List the file systems of the guest", printFileSystems),
		newQuery(e, "userlist", "userlist", "List the users that are logged in to the guest", printUsers),
	}
}

// newQuery makes a command that reads one subresource and shows it, whole as JSON by default as scripts expect, or as a table.
func newQuery[T any](e *command.Environment, name, subresource, short string, table func(*command.Environment, *T) error) *cobra.Command {
	var output *command.Output
	cmd := &cobra.Command{
		Use: name + " VMI", Short: short, Args: command.Args(cobra.ExactArgs(1)), ValidArgsFunction: e.CompleteInstances,
		Long: short + ". Needs a running qemu-guest-agent in the guest.",
		Example: e.Example(fmt.Sprintf(`
  # All of it, as JSON
  {{program}} %[1]s web

  # For people
  {{program}} %[1]s web -o table

  # Does its agent answer?
  kubectl wait vmi/web --for=condition=AgentConnected --timeout=2m`, name)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			answer := new(T)
			if err := ask(cmd.Context(), e, args[0], subresource, answer); err != nil {
				return err
			}
			if output.Is(command.Table) {
				return table(e, answer)
			}
			return output.Print(e.Out, answer)
		},
	}
	output = command.OutputFlag(cmd, command.JSON, command.YAML, command.Table, command.JSONPath)
	return cmd
}

func ask(ctx context.Context, e *command.Environment, name, subresource string, into any) error {
	c, err := e.Connect()
	if err != nil {
		return err
	}
	target := command.Target{Kind: command.KindVMI, Name: name, Namespace: c.Namespace}
	if err := c.GetInto(ctx, target.Path(subresource), into); err != nil {
		return fmt.Errorf("%s of %s: %w", subresource, name, c.Explain(ctx, target, err))
	}
	return nil
}

func printOSInfo(e *command.Environment, info *virtv1.VirtualMachineInstanceGuestAgentInfo) error {
	enabled := 0
	for _, c := range info.SupportedCommands {
		if c.Enabled {
			enabled++
		}
	}
	commands := ""
	if len(info.SupportedCommands) > 0 {
		commands = fmt.Sprintf("%d of %d enabled", enabled, len(info.SupportedCommands))
	}
	return command.Pairs(e.Out, [][2]string{
		{"Host name", info.Hostname},
		{"System", first(info.OS.PrettyName, strings.TrimSpace(info.OS.Name+" "+info.OS.Version), info.OS.ID)},
		{"Kernel", info.OS.KernelRelease},
		{"Architecture", info.OS.Machine},
		{"Time zone", info.Timezone},
		{"Agent", info.GuestAgentVersion},
		{"Agent's commands", commands},
		{"File systems", info.FSFreezeStatus},
	})
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

func printFileSystems(e *command.Environment, list *virtv1.VirtualMachineInstanceFileSystemList) error {
	var rows [][]string
	for _, fs := range list.Items {
		var disks []string
		for _, d := range fs.Disk {
			disks = append(disks, strings.TrimSuffix(d.BusType+":"+d.Serial, ":"))
		}
		rows = append(rows, []string{fs.MountPoint, fs.FileSystemType, size(fs.UsedBytes), size(fs.TotalBytes), share(fs.UsedBytes, fs.TotalBytes), fs.DiskName, strings.Join(disks, ",")})
	}
	return command.Rows(e.Out, []string{"MOUNTED ON", "TYPE", "USED", "SIZE", "USE%", "DEVICE", "DISK"}, rows)
}

// size shows bytes with a binary suffix.
func size(bytes int64) string {
	for _, unit := range []struct {
		suffix string
		shift  uint
	}{{"Gi", 30}, {"Mi", 20}, {"Ki", 10}} {
		if bytes >= 1<<unit.shift {
			return strconv.FormatFloat(math.Round(float64(bytes)*10/float64(int64(1)<<unit.shift))/10, 'f', -1, 64) + unit.suffix
		}
	}
	return resource.NewQuantity(bytes, resource.BinarySI).String()
}

func share(used, total int64) string {
	if total <= 0 {
		return ""
	}
	return strconv.FormatFloat(math.Ceil(float64(used)*100/float64(total)), 'f', 0, 64) + "%"
}

func printUsers(e *command.Environment, list *virtv1.VirtualMachineInstanceGuestOSUserList) error {
	var rows [][]string
	for _, u := range list.Items {
		since := ""
		if u.LoginTime > 0 {
			seconds, fraction := math.Modf(u.LoginTime)
			since = time.Unix(int64(seconds), int64(fraction*1e9)).UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{u.UserName, u.Domain, since})
	}
	return command.Rows(e.Out, []string{"USER", "DOMAIN", "LOGGED IN"}, rows)
}
