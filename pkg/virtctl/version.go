package virtctl

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"

	"github.com/spf13/cobra"
	"k8s.io/component-base/version"
	"sigs.k8s.io/yaml"
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
	v := version.Get()
	return versionInfo{GitVersion: v.GitVersion, GitCommit: v.GitCommit, GitTreeState: v.GitTreeState, BuildDate: v.BuildDate,
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH}
}

func (e *environment) newVersion() *cobra.Command {
	var clientOnly bool
	var output string
	cmd := &cobra.Command{
		Use: "version", Short: "Show the versions of this client and of the server", Args: cobra.NoArgs,
		Example: e.example(`
  # Both versions
  {{program}} version

  # The client's alone, without asking the server
  {{program}} version --client`),
		RunE: func(cmd *cobra.Command, _ []string) error {
			versions := map[string]versionInfo{"clientVersion": clientVersion()}
			var asked error
			if !clientOnly {
				server, err := e.serverVersion(cmd)
				if err != nil {
					asked = fmt.Errorf("asking the server for its version: %w", err)
				} else {
					versions["serverVersion"] = server
				}
			}
			if err := e.printVersions(versions, output); err != nil {
				return err
			}
			return asked
		},
	}
	cmd.Flags().BoolVarP(&clientOnly, "client", "c", false, "show the client's version only")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml instead of text")
	return cmd
}

func (e *environment) serverVersion(cmd *cobra.Command) (versionInfo, error) {
	var info versionInfo
	c, err := e.connect()
	if err != nil {
		return info, err
	}
	raw, err := c.do(cmd.Context(), http.MethodGet, subresourcePath+"/version", nil)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		return info, fmt.Errorf("reading the answer: %w", err)
	}
	return info, nil
}

func (e *environment) printVersions(versions map[string]versionInfo, output string) error {
	switch output {
	case "json":
		raw, err := json.MarshalIndent(versions, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(e.Out, string(raw))
	case "yaml":
		raw, err := yaml.Marshal(versions)
		if err != nil {
			return err
		}
		fmt.Fprint(e.Out, string(raw))
	case "":
		for _, end := range []struct{ key, title string }{{"clientVersion", "Client"}, {"serverVersion", "Server"}} {
			if v, ok := versions[end.key]; ok {
				fmt.Fprintf(e.Out, "%s Version: version.Info{GitVersion:%q, GitCommit:%q, GitTreeState:%q, BuildDate:%q, GoVersion:%q, Compiler:%q, Platform:%q}\n",
					end.title, v.GitVersion, v.GitCommit, v.GitTreeState, v.BuildDate, v.GoVersion, v.Compiler, v.Platform)
			}
		}
	default:
		return fmt.Errorf("--output must be json or yaml, not %q", output)
	}
	return nil
}
