package virtctl

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Exit codes of virtctl.
const (
	// ExitOK means that the command did what it was asked.
	ExitOK = 0
	// ExitFailed means that it did not; the reason stands on standard error.
	ExitFailed = 1
)

// environment is what every command needs: the way to the cluster and the streams of the terminal.
type environment struct {
	genericiooptions.IOStreams
	config *genericclioptions.ConfigFlags
	// program is the name that the user called us by, for examples in help.
	program string
}

// NewCommand returns virtctl with all its commands. As a kubectl plugin (kubectl-virt) it shows its examples that way.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	env := &environment{IOStreams: streams, config: genericclioptions.NewConfigFlags(true), program: programName(os.Args[0])}
	root := &cobra.Command{
		Use:           env.program,
		Short:         "Control virtual machines on Kubernetes",
		Long:          "Controls virtual machines on Kubernetes: power, consoles and what else kubectl has no verb for.\n\nExit codes: 0 done, 1 failed (the reason stands on standard error).",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	env.config.AddFlags(root.PersistentFlags())
	root.AddCommand(env.newConsole(), env.newStart(), env.newStop(), env.newRestart(), env.newPause("pause"), env.newPause("unpause"), env.newVersion())
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	return root
}

func programName(arg0 string) string {
	if strings.HasPrefix(filepath.Base(arg0), "kubectl-") {
		return "kubectl virt"
	}
	return "virtctl"
}

// example fills the program's name into worked examples.
func (e *environment) example(text string) string {
	return strings.ReplaceAll(strings.Trim(text, "\n"), "{{program}}", e.program)
}
