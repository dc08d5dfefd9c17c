package virtctl

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

// virtctl runs the whole program against a server, nil for none.
func virtctl(t *testing.T, s *virtctltest.Server, arg0 string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	t.Setenv("KUBECONFIG", "/dev/null")
	if s != nil {
		listening := httptest.NewServer(s)
		t.Cleanup(listening.Close)
		args = append(args, "--server", listening.URL, "-n", "ns")
	}
	var out, errOut bytes.Buffer
	code = Run(t.Context(), genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, arg0, args)
	return out.String(), errOut.String(), code
}

// each calls f for every command and help topic.
func each(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		each(sub, f)
	}
}

func root() *cobra.Command {
	return NewCommand(command.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard}, "virtctl"))
}

// wanted are the commands of the manual and of the reference that this release has.
var wanted = []string{
	"start", "stop", "restart", "pause", "unpause", "soft-reboot", "reset", "migrate", "migrate-cancel", "evacuate-cancel",
	"console", "vnc", "vnc screenshot", "ssh", "scp", "port-forward", "vsock", "usbredir", "expose",
	"guestosinfo", "fslist", "userlist", "guestfs", "credentials add-ssh-key", "credentials remove-ssh-key", "credentials set-password",
	"create vm", "create instancetype", "create preference", "create clone",
	"addvolume", "removevolume", "memory-dump get", "memory-dump remove",
	"expand", "objectgraph", "permitted-devices", "adm log-verbosity", "version", "options", "help", "completion",
}

// TestHelp wants every command listed, and its own help with examples before flags.
func TestHelp(t *testing.T) {
	out, _, code := virtctl(t, nil, "virtctl", "help")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, name := range wanted {
		first, _, _ := strings.Cut(name, " ")
		if !strings.Contains(out, "\n  "+first+" ") {
			t.Errorf("help does not list %s:\n%s", first, out)
		}
	}
	for _, flag := range []string{"--help", "-h"} {
		for _, name := range wanted {
			out, errOut, code := virtctl(t, nil, "virtctl", append(strings.Fields(name), flag)...)
			if code != 0 || errOut != "" {
				t.Errorf("%s %s: exit code %d, says %q", name, flag, code, errOut)
			}
			examples, flags := strings.Index(out, "\nExamples:\n"), strings.Index(out, "\nFlags:\n")
			if own := !strings.HasPrefix(name, "help") && !strings.HasPrefix(name, "completion"); own && (examples < 0 || flags >= 0 && flags < examples) {
				t.Errorf("%s %s: examples stand at %d, flags at %d:\n%s", name, flag, examples, flags, out)
			}
		}
	}
	spec.Covers(t, "P1-VCTL-02", "P1-VCTL-03", "P1-VCTL-40")
}

// TestHouseRules holds each command to the habits of the house.
func TestHouseRules(t *testing.T) {
	r := root()
	r.InitDefaultHelpCmd()
	each(r, func(c *cobra.Command) {
		if strings.HasPrefix(c.CommandPath(), "virtctl completion") || c.Name() == "help" || c == r {
			return
		}
		path := c.CommandPath()
		switch {
		case c.Short == "" || strings.HasSuffix(c.Short, "."):
			t.Errorf("%s: the short text %q must be there, without a full stop", path, c.Short)
		case c.Runnable() && c.Args == nil:
			t.Errorf("%s: says nothing about its arguments", path)
		case c.Runnable() && !strings.Contains(c.Example, "  # "):
			t.Errorf("%s: has no examples with a comment", path)
		case strings.Contains(c.Example, "{{"):
			t.Errorf("%s: the program's name is not filled in", path)
		}
		if takesMachine := strings.Contains(c.Use, "VM") || strings.Contains(c.Use, "NAME"); c.Runnable() && takesMachine && c.ValidArgsFunction == nil && c.Name() != "scp" && c.Name() != "expand" {
			t.Errorf("%s: does not complete names", path)
		}
	})
}

func TestOptions(t *testing.T) {
	out, _, code := virtctl(t, nil, "virtctl", "options")
	for _, want := range []string{"--kubeconfig", "--namespace", "-n,", "--context", "-v,"} {
		if !strings.Contains(out, want) {
			t.Errorf("options lacks %s:\n%s", want, out)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	spec.Covers(t, "P1-VCTL-04")
}

func TestExitCodes(t *testing.T) {
	refuse := &virtctltest.Server{Answer: func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/version") {
			virtctltest.JSON(w, versionInfo{GitVersion: "v1.3.0"})
		} else {
			virtctltest.Refuse(w, 409, "VM is already running")
		}
		return true
	}}
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"stop", "web", "--force"}, 2, "error: --force needs --grace-period=SECONDS (0 cuts the guest off at once)\nSee 'virtctl stop --help'.\n"},
		{[]string{"stop"}, 2, "error: accepts 1 arg(s), received 0\nSee 'virtctl stop --help'.\n"},
		{[]string{"stop", "web", "--nonsense"}, 2, "error: unknown flag: --nonsense\nSee 'virtctl stop --help'.\n"},
		{[]string{"create", "instancetype", "--cpu", "1"}, 2, "error: required flag(s) \"memory\" not set\nSee 'virtctl create instancetype --help'.\n"},
		{[]string{"create", "vm", "--memory", "1Gi", "--instancetype", "small"}, 2, "error: if any flags in the group [memory instancetype infer-instancetype infer-instancetype-from] are set none of the others can be; [instancetype memory] were all set\nSee 'virtctl create vm --help'.\n"},
		{[]string{"nonsense"}, 2, "error: unknown command \"nonsense\" for \"virtctl\"\nSee 'virtctl --help'.\n"},
		{[]string{"start", "web"}, 1, "error: start web: VM is already running\nWarning: this client speaks the API of 1.9, the server that of 1.3: that may be the cause\n"},
		{[]string{"guestfs"}, 2, "error: the name of the claim is missing: guestfs PVC\nSee 'virtctl guestfs --help'.\n"},
		{[]string{"guestfs", "a", "b"}, 2, "error: guestfs takes one claim, not 2\nSee 'virtctl guestfs --help'.\n"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			out, says, code := virtctl(t, refuse, "virtctl", tc.args...)
			if code != tc.code || says != tc.says || out != "" {
				t.Errorf("exit code %d, says %q, prints %q; want %d and %q", code, says, out, tc.code, tc.says)
			}
		})
	}
	spec.Covers(t, "P1-VCTL-46")
}

func TestSkew(t *testing.T) {
	for server, want := range map[string]string{"v1.9.0": "", "v1.9.4+vendor": "", "nonsense": "", "v1.10.0": "this client speaks the API of 1.9, the server that of 1.10: that may be the cause"} {
		if got := skew(apiRelease, server); got != want {
			t.Errorf("%s: %q, want %q", server, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	s := &virtctltest.Server{Answer: func(w http.ResponseWriter, _ *http.Request) bool {
		virtctltest.JSON(w, versionInfo{GitVersion: "v1.9.0"})
		return true
	}}
	out, _, code := virtctl(t, s, "virtctl", "version")
	if code != 0 || !strings.Contains(out, "Client Version: version.Info{") || !strings.Contains(out, `Server Version: version.Info{GitVersion:"v1.9.0"`) {
		t.Errorf("exit code %d, printed %q", code, out)
	}
	out, _, code = virtctl(t, s, "virtctl", "version", "-o", "json")
	if code != 0 || !strings.Contains(out, `"serverVersion": {`) {
		t.Errorf("exit code %d, printed %q", code, out)
	}
	out, says, code := virtctl(t, nil, "virtctl", "version", "--server", "http://127.0.0.1:1")
	if code != 1 || !strings.HasPrefix(out, "Client Version") || !strings.HasPrefix(says, "error: asking the server for its version: ") {
		t.Errorf("without a server: exit code %d, printed %q, said %q", code, out, says)
	}
}

// TestKubeconfig takes the cluster and the namespace from a file, named by flag or by environment.
func TestKubeconfig(t *testing.T) {
	s := &virtctltest.Server{}
	listening := httptest.NewServer(s)
	defer listening.Close()
	file := filepath.Join(t.TempDir(), "config")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: " + listening.URL + "}}]\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: prod}}]\nusers: [{name: u, user: {token: t}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard}
	t.Setenv("KUBECONFIG", "/dev/null")
	if code := Run(t.Context(), streams, "virtctl", []string{"start", "web", "--kubeconfig=" + file}); code != 0 {
		t.Errorf("by flag: exit code %d", code)
	}
	t.Setenv("KUBECONFIG", file)
	if code := Run(t.Context(), streams, "kubectl-virt", []string{"start", "web"}); code != 0 {
		t.Errorf("by environment: exit code %d", code)
	}
	if got := len(s.Saw("PUT", "/apis/subresources.kubevirt.io/v1/namespaces/prod/virtualmachines/web/start")); got != 2 {
		t.Errorf("the server saw %v", s.Requests())
	}
	spec.Covers(t, "P1-VCTL-18")
}

func TestPluginName(t *testing.T) {
	out, _, _ := virtctl(t, nil, "/usr/local/bin/kubectl-virt", "start", "--help")
	if !strings.Contains(out, "  kubectl virt start web") {
		t.Errorf("as a plugin, help shows:\n%s", out)
	}
}
