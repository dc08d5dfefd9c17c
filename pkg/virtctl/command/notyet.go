package command

import "github.com/spf13/cobra"

// notYet is the annotation of a command for which this release's server has nothing that acts on it.
const notYet = "virtplane.io/not-served-yet"

// NotYet marks a command that this release's own server does not serve, and says so in its help. what it lacks is named as the API
// names it: RESOURCE/ACTION, GROUP/VERSION, or a field. Other servers that speak the same API may have it.
func NotYet(cmd *cobra.Command, what string) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[notYet] = what
	if cmd.Long == "" {
		cmd.Long = cmd.Short + "."
	}
	cmd.Long += "\n\nNot served yet: the server of this release has no " + what + "."
	return cmd
}

// Lacks is what this release's server lacks for a command, empty if nothing.
func Lacks(cmd *cobra.Command) string { return cmd.Annotations[notYet] }
