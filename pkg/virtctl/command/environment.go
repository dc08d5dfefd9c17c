package command

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
)

// Environment is what every command needs: the way to the cluster and the streams of the terminal. Results go to Out, what
// is said to people while they wait goes to ErrOut.
type Environment struct {
	genericiooptions.IOStreams
	// Config holds the flags that say which cluster, as whom and in which namespace.
	Config *genericclioptions.ConfigFlags
	// Program is the name that the user called us by, for examples in help.
	Program string
}

// New makes the environment of one run. arg0 is the name that the program was called by.
func New(streams genericiooptions.IOStreams, arg0 string) *Environment {
	return &Environment{IOStreams: streams, Config: genericclioptions.NewConfigFlags(true), Program: programName(arg0)}
}

func programName(arg0 string) string {
	if strings.HasPrefix(filepath.Base(arg0), "kubectl-") {
		return "kubectl virt"
	}
	return "virtctl"
}

// Example fills the program's name into worked examples.
func (e *Environment) Example(text string) string {
	return strings.ReplaceAll(strings.Trim(text, "\n"), "{{program}}", e.Program)
}

// Namespace is the one to work in, and whether the user named it on the command line instead of leaving it to the kubeconfig.
func (e *Environment) Namespace() (namespace string, named bool, err error) {
	namespace, named, err = e.Config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", false, fmt.Errorf("reading the namespace from the kubeconfig: %w", err)
	}
	return namespace, named, nil
}

// Say tells the user something while they wait, one line on standard error.
func (e *Environment) Say(format string, args ...any) { fmt.Fprintf(e.ErrOut, format+"\n", args...) }

// Trace tells what goes on behind the scenes, when -v asks for that level.
func (e *Environment) Trace(level klog.Level, format string, args ...any) {
	if verbose := klog.V(level); verbose.Enabled() {
		fmt.Fprintf(e.ErrOut, time.Now().Format("15:04:05.000 ")+format+"\n", args...)
	}
}

// DryRunFlag adds --dry-run.
func DryRunFlag(cmd *cobra.Command, on *bool) {
	cmd.Flags().BoolVar(on, "dry-run", false, "send the request, have it checked, change nothing")
}

// Inherited gives the global flags that the user has set, as arguments for another run of this program.
func Inherited(cmd *cobra.Command) []string {
	var args []string
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Changed {
			return
		}
		if values, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range values.GetSlice() {
				args = append(args, "--"+f.Name+"="+v)
			}
			return
		}
		args = append(args, "--"+f.Name+"="+f.Value.String())
	})
	return args
}
