package virtctl

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/version"
	componentversion "k8s.io/component-base/version"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// versionInfo is what both ends say about themselves, in the form that the server sends.
type versionInfo struct {
	GitVersion   string `json:"gitVersion"`
	GitCommit    string `json:"gitCommit,omitempty"`
	GitTreeState string `json:"gitTreeState,omitempty"`
	BuildDate    string `json:"buildDate,omitempty"`
	GoVersion    string `json:"goVersion,omitempty"`
	Compiler     string `json:"compiler,omitempty"`
	Platform     string `json:"platform,omitempty"`
}

func clientVersion() versionInfo {
	v := componentversion.Get()
	return versionInfo{GitVersion: v.GitVersion, GitCommit: v.GitCommit, GitTreeState: v.GitTreeState, BuildDate: v.BuildDate,
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH}
}

// text is the form of output for people.
const text = "text"

func newVersion(e *command.Environment) *cobra.Command {
	var clientOnly bool
	var output *command.Output
	cmd := &cobra.Command{
		Use: "version", Short: "Show the versions of this client and of the server", Args: command.Args(cobra.NoArgs),
		Example: e.Example(`
  # Both versions
  {{program}} version

  # The client's alone, without asking the server
  {{program}} version --client`),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			versions := map[string]versionInfo{"clientVersion": clientVersion()}
			var asked error
			if !clientOnly {
				server, err := serverVersion(cmd.Context(), e)
				if err != nil {
					asked = fmt.Errorf("asking the server for its version: %w", err)
				} else {
					versions["serverVersion"] = server
				}
			}
			if output.Is(text) {
				printVersions(e, versions)
			} else if err := output.Print(e.Out, versions); err != nil {
				return err
			}
			return asked
		},
	}
	cmd.Flags().BoolVarP(&clientOnly, "client", "c", false, "show the client's version only")
	output = command.OutputFlag(cmd, text, command.JSON, command.YAML)
	return cmd
}

func serverVersion(ctx context.Context, e *command.Environment) (versionInfo, error) {
	var info versionInfo
	c, err := e.Connect()
	if err != nil {
		return info, err
	}
	return info, c.GetInto(ctx, command.Group+"/version", &info)
}

func printVersions(e *command.Environment, versions map[string]versionInfo) {
	for _, end := range []struct{ key, title string }{{"clientVersion", "Client"}, {"serverVersion", "Server"}} {
		if v, ok := versions[end.key]; ok {
			fmt.Fprintf(e.Out, "%s Version: version.Info{GitVersion:%q, GitCommit:%q, GitTreeState:%q, BuildDate:%q, GoVersion:%q, Compiler:%q, Platform:%q}\n",
				end.title, v.GitVersion, v.GitCommit, v.GitTreeState, v.BuildDate, v.GoVersion, v.Compiler, v.Platform)
		}
	}
}

// skewTimeout bounds the question for the server's version after a failure.
const skewTimeout = 3 * time.Second

// apiRelease is the release of the reference whose API this client speaks. Servers report theirs as their version, whoever
// made them.
const apiRelease = "v1.9.0"

// skew says that client and server speak the API of different releases, or nothing.
func skew(client, server string) string {
	c, clientErr := version.ParseGeneric(client)
	s, serverErr := version.ParseGeneric(server)
	if clientErr != nil || serverErr != nil || c.Major() == s.Major() && c.Minor() == s.Minor() {
		return ""
	}
	return fmt.Sprintf("this client speaks the API of %d.%d, the server that of %d.%d: that may be the cause", c.Major(), c.Minor(), s.Major(), s.Minor())
}

// warnOfSkew asks for the server's version after a failure, so that it costs nothing while all is well.
func warnOfSkew(ctx context.Context, e *command.Environment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), skewTimeout)
	defer cancel()
	server, err := serverVersion(ctx, e)
	if err != nil {
		return // the failure has been told already
	}
	if warning := skew(apiRelease, server.GitVersion); warning != "" {
		e.Say("Warning: %s", warning)
	}
}
