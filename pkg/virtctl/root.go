package virtctl

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/console"
	"github.com/virtplane/virtplane/pkg/virtctl/create"
	"github.com/virtplane/virtplane/pkg/virtctl/credentials"
	"github.com/virtplane/virtplane/pkg/virtctl/expose"
	"github.com/virtplane/virtplane/pkg/virtctl/forward"
	"github.com/virtplane/virtplane/pkg/virtctl/graphics"
	"github.com/virtplane/virtplane/pkg/virtctl/guest"
	"github.com/virtplane/virtplane/pkg/virtctl/guestfs"
	"github.com/virtplane/virtplane/pkg/virtctl/inspect"
	"github.com/virtplane/virtplane/pkg/virtctl/power"
	"github.com/virtplane/virtplane/pkg/virtctl/volume"
)

// Run runs virtctl with these arguments, tells on standard error why it failed, and returns the exit code.
func Run(ctx context.Context, streams genericiooptions.IOStreams, arg0 string, args []string) int {
	env := command.New(streams, arg0)
	root := NewCommand(env)
	root.SetArgs(args)
	started := false
	watchStart(root, &started)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return command.ExitOK
	}
	if !started {
		err = command.Usage(err) // cobra did not get as far as the command
	}
	code := command.ExitCode(err)
	if code == command.ExitInterrupted && ctx.Err() != nil {
		return code // the user knows
	}
	fmt.Fprintln(streams.ErrOut, "error:", err)
	switch {
	case command.IsUsage(err):
		fmt.Fprintf(streams.ErrOut, "See '%s --help'.\n", cmd.CommandPath())
	case started && cmd.Name() != "version":
		warnOfSkew(ctx, env)
	}
	return code
}

// watchStart notes when the command itself begins, that is when its command line was found to make sense.
func watchStart(cmd *cobra.Command, started *bool) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		watchStart(sub, started)
	}
}

// Groups of commands, in the order of help.
const (
	groupPower  = "power"
	groupAccess = "access"
	groupGuest  = "guest"
	groupMake   = "make"
	groupVolume = "volume"
	groupAdmin  = "admin"
)

// NewCommand is the whole tree of commands.
func NewCommand(env *command.Environment) *cobra.Command {
	root := &cobra.Command{
		Use: env.Program, Short: "Control virtual machines on Kubernetes", SilenceUsage: true, SilenceErrors: true,
		Long: "Controls virtual machines on Kubernetes: power, consoles, connections and what else kubectl has no verb for.\n\nResults go to standard output, progress and reasons to standard error. Exit codes: " + exitCodes,
		Example: env.Example(`
  # Make a machine, start it, log in
  {{program}} create vm --name web --memory 1Gi --volume-containerdisk src:registry.example.com/debian:13 --user debian --ssh-key "$(cat ~/.ssh/id_ed25519.pub)" | kubectl apply -f -
  {{program}} console web
  {{program}} ssh debian@web

  # Reach one of its ports from here, and from everywhere
  {{program}} port-forward vm/web 8080:80
  {{program}} expose vm web --name web --port 80 --type NodePort

  # Turn it off
  {{program}} stop web`),
	}
	// Flags of the cluster and of logging hold for every command.
	env.Config.AddFlags(root.PersistentFlags())
	logging := flag.NewFlagSet("logging", flag.ContinueOnError)
	klog.InitFlags(logging)
	root.PersistentFlags().AddGoFlag(logging.Lookup("v"))
	root.PersistentFlags().Lookup("v").Usage = "how much to tell of what goes on: 2 connections, 4 requests, 8 their content"
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return command.Usage(err) })

	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{groupPower, "Power and place:", power.New(env)},
		{groupAccess, "Access:", []*cobra.Command{console.New(env), graphics.New(env), forward.NewSSH(env), forward.NewSCP(env), forward.NewPortForward(env), forward.NewVsock(env), forward.NewUSBRedir(env), expose.New(env)}},
		{groupGuest, "Inside the guest:", append(guest.New(env), credentials.New(env), guestfs.New(env))},
		{groupMake, "Manifests:", []*cobra.Command{create.New(env)}},
		{groupVolume, "Volumes:", volume.New(env)},
		{groupAdmin, "Configuration:", inspect.New(env)},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newVersion(env), newOptions(env), newExitCodes())
	root.SetOut(env.Out)
	root.SetErr(env.ErrOut)
	root.SetUsageTemplate(usageTemplate)
	return root
}

// exitCodes is what scripts may rely on.
const exitCodes = `0 done; 1 failed, the reason stands on standard error; 2 the command line makes no sense and nothing was asked of the cluster; 130 ended by Ctrl+C. ssh, scp and guestfs pass on the code of what they ran.`

// newExitCodes is a help topic.
func newExitCodes() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: "Exit codes: " + exitCodes}
}

// newOptions lists the flags that every command takes.
func newOptions(env *command.Environment) *cobra.Command {
	return &cobra.Command{
		Use: "options", Short: "List the flags that every command takes", Args: command.Args(cobra.NoArgs),
		Example: env.Example(`
  # Work with another cluster and namespace
  {{program}} start web --kubeconfig ~/other.kubeconfig --context lab -n test`),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(env.Out, "These flags can be passed to any command:\n\n"+cmd.Root().PersistentFlags().FlagUsages())
			return err
		},
	}
}

// Main is virtctl as a program.
func Main(ctx context.Context) int {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	return Run(ctx, streams, os.Args[0], os.Args[1:])
}

// usageTemplate shows examples before flags, and leaves the flags of every command to options.
const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}{{$cmds := .Commands}}{{range $group := .Groups}}

{{.Title}}{{range $cmds}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .Groups}}

Other commands:{{else}}

Commands:{{end}}{{range $cmds}}{{if and (eq .GroupID "") (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}{{if .HasParent}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{end}}{{if .HasHelpSubCommands}}

Help topics:{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}
  {{rpad .CommandPath .CommandPathPadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableSubCommands}}

Use "{{.CommandPath}} [command] --help" for more about a command.{{end}}
Use "{{.Root.CommandPath}} options" for the flags that every command takes.
`
