package forward

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
	"github.com/virtplane/virtplane/test/spec"
)

// stub puts a program of this name first in PATH that prints its arguments, one a line, and ends with a code.
func stub(t *testing.T, name, code string) {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\n' \"$a\"; done\nexit " + code + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestSSH(t *testing.T) {
	stub(t, "ssh", "0")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	proxy := func(flags, target, port string) string {
		return "ProxyCommand=" + quote(self) + " port-forward --stdio=true " + flags + target + " " + port
	}
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"ssh", "web"}, []string{"-o", proxy("", "vmi/web/ns", "22"), "vmi.web.ns"}},
		{[]string{"ssh", "-i", "key", "fedora@web"}, []string{"-o", proxy("", "vmi/web/ns", "22"), "-i", "key", "fedora@vmi.web.ns"}},
		{[]string{"ssh", "debian@vm/web/prod", "-p", "2222", "--known-hosts", "kh", "-t", "-o StrictHostKeyChecking=no", "-c", "uptime"},
			[]string{"-o", proxy("", "vm/web/prod", "2222"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=kh", "debian@vm.web.prod", "uptime"}},
		{[]string{"ssh", "--username", "debian", "--local-ssh=true", "web", "--", "ls", "-l"}, []string{"-o", proxy("", "vmi/web/ns", "22"), "debian@vmi.web.ns", "ls", "-l"}},
		{[]string{"ssh", "web", "-n", "prod", "--context", "it's 100%"}, []string{"-o", proxy(`'--context=it'\''s 100%%' --namespace=prod `, "vmi/web/prod", "22"), "vmi.web.prod"}},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			out, _, err := virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(NewSSH), tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, strings.Split(strings.TrimSuffix(out, "\n"), "\n")); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
	spec.Covers(t, "P2-SSH-02")
}

func TestSSHPassesTheExitCodeOn(t *testing.T) {
	stub(t, "ssh", "42")
	_, _, err := virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(NewSSH), "ssh", "web")
	var exit *command.ExitError
	if !errors.As(err, &exit) || exit.Code != 42 || command.ExitCode(err) != 42 {
		t.Errorf("error %v", err)
	}
}

func TestSSHMistakes(t *testing.T) {
	stub(t, "ssh", "0")
	for args, want := range map[string]string{
		"ssh @web":      `target "@web" names no user before the @`,
		"ssh -- web":    `the target is missing before --`,
		"ssh a@pod/web": `target "pod/web": "pod" is neither vm nor vmi`,
		"ssh -l=-x web": `user "-x" begins with a dash`,
	} {
		_, _, err := virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(NewSSH), strings.Fields(args)...)
		if err == nil || err.Error() != want || !command.IsUsage(err) {
			t.Errorf("%s: error %v, want %s", args, err, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	_, _, err := virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(NewSSH), "ssh", "web")
	if want := "found no ssh on this computer: install the OpenSSH client, or carry the port with virtctl port-forward"; err == nil || err.Error() != want {
		t.Errorf("without ssh: %v", err)
	}
}

func TestSCP(t *testing.T) {
	stub(t, "scp", "0")
	for _, tc := range []struct {
		args []string
		want []string // after the ProxyCommand
	}{
		{[]string{"scp", "-i", "key", "notes.txt", "fedora@web:"}, []string{"-i", "key", "notes.txt", "fedora@vmi.web.ns:"}},
		{[]string{"scp", "-i", "key", "fedora@web:notes.txt", "."}, []string{"-i", "key", "fedora@vmi.web.ns:notes.txt", "."}},
		{[]string{"scp", "-r", "--preserve", "site", "debian@vm/web/prod:/srv"}, []string{"-r", "-p", "site", "debian@vm.web.prod:/srv"}},
		{[]string{"scp", "./a:b", "web:c"}, []string{"./a:b", "vmi.web.ns:c"}},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			out, _, err := virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(NewSCP), tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			if diff := cmp.Diff(tc.want, got[2:]); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
	for args, want := range map[string]string{
		"scp a b":     "neither a nor b is in a machine: say [USER@]NAME:PATH",
		"scp a:b c:d": "both a:b and c:d are in machines: copy by way of this computer",
		"scp a":       "accepts 2 arg(s), received 1",
	} {
		_, _, err := virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(NewSCP), strings.Fields(args)...)
		if err == nil || err.Error() != want || !command.IsUsage(err) {
			t.Errorf("%s: error %v, want %s", args, err, want)
		}
	}
}
