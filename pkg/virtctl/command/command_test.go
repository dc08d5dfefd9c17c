package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestParseTarget(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Target
		err  string
	}{
		{"web", Target{Kind: KindVMI, Name: "web"}, ""},
		{"vm/web", Target{Kind: KindVM, Name: "web"}, ""},
		{"VirtualMachineInstances/web/prod", Target{KindVMI, "web", "prod"}, ""},
		{"vm/my.web", Target{Kind: KindVM, Name: "my.web"}, ""},
		{"", Target{}, `target "" names nothing: say NAME, KIND/NAME or KIND/NAME/NAMESPACE`},
		{"vm/", Target{}, `target "vm/" names nothing: say NAME, KIND/NAME or KIND/NAME/NAMESPACE`},
		{"vm/web/", Target{}, `target "vm/web/" ends before the namespace: say KIND/NAME or KIND/NAME/NAMESPACE`},
		{"pod/web", Target{}, `target "pod/web": "pod" is neither vm nor vmi`},
		{"vm/a/b/c", Target{}, `target "vm/a/b/c" has too many parts: say NAME, KIND/NAME or KIND/NAME/NAMESPACE`},
	} {
		got, err := ParseTarget(tc.text)
		if diff := cmp.Diff(tc.want, got); diff != "" || text(err) != tc.err {
			t.Errorf("%q: error %q, want %q; (-want +got):\n%s", tc.text, text(err), tc.err, diff)
		}
		if err != nil && !IsUsage(err) {
			t.Errorf("%q: not a usage error", tc.text)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"web", "vm/web/ns", "//", "a/b/c/d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if target, err := ParseTarget(s); err == nil && (target.Name == "" || strings.Contains(target.Name, "/")) {
			t.Errorf("%q gives %+v", s, target)
		}
	})
}

func TestMinutes(t *testing.T) {
	for text, want := range map[string]time.Duration{"5": 5 * time.Minute, "90s": 90 * time.Second, "1h": time.Hour, "0": 0, "-1": 0, "soon": 0, "-5s": 0} {
		var m Minutes
		err := m.Set(text)
		if (err == nil) != (want > 0) || time.Duration(m) != want {
			t.Errorf("%q: %s, %v", text, &m, err)
		}
	}
}

func TestStatusError(t *testing.T) {
	for _, tc := range []struct {
		body, want string
		code       int
	}{
		{`{"kind":"Status","message":"VM is not running","code":409}`, "VM is not running", 409},
		{`{"kind":"Status","message":"no code"}`, "no code", 500},
		{`plain words`, "plain words", 500},
		{``, "Internal Server Error", 500},
	} {
		err := statusError(500, []byte(tc.body))
		if err.Error() != tc.want || Code(err) != tc.code {
			t.Errorf("%s: %d %v", tc.body, Code(err), err)
		}
	}
	if Code(errors.New("other")) != 0 {
		t.Error("an error that is not the server's has a code")
	}
}

func TestOutput(t *testing.T) {
	obj := map[string]any{"items": []any{map[string]any{"name": "a"}, map[string]any{"name": "b"}}}
	for form, want := range map[string]string{
		"yaml": "items:\n- name: a\n- name: b\n", "json": "{\n  \"items\": [\n    {\n      \"name\": \"a\"\n    },\n    {\n      \"name\": \"b\"\n    }\n  ]\n}\n",
		"jsonpath={.items[*].name}": "a b\n", "jsonpath={.none}": "\n",
	} {
		cmd := &cobra.Command{}
		o := OutputFlag(cmd, Table, JSON, YAML, JSONPath)
		if err := cmd.Flags().Set("output", form); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := errors.Join(o.Check(), o.Print(&out, obj)); err != nil || out.String() != want {
			t.Errorf("%s prints %q, %v", form, out.String(), err)
		}
	}
	for form, want := range map[string]string{"xml": "--output must be one of table, json, jsonpath=TEMPLATE, not \"xml\"", "jsonpath={": "--output: unclosed action"} {
		cmd := &cobra.Command{}
		o := OutputFlag(cmd, Table, JSON, JSONPath)
		_ = cmd.Flags().Set("output", form)
		if got := text(o.Check()); got != want {
			t.Errorf("%s: %q, want %q", form, got, want)
		}
	}
}

func TestTables(t *testing.T) {
	var out bytes.Buffer
	if err := errors.Join(Rows(&out, []string{"NAME", "IP"}, [][]string{{"web", ""}, {"longer", "192.0.2.1"}}), Pairs(&out, [][2]string{{"Name", "web"}, {"Empty", ""}})); err != nil {
		t.Fatal(err)
	}
	want := "NAME     IP\nweb      <none>\nlonger   192.0.2.1\nName:   web\n"
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
}

func TestProgramName(t *testing.T) {
	for arg0, want := range map[string]string{"virtctl": "virtctl", "/usr/bin/kubectl-virt": "kubectl virt", "./x/kubectl-virt": "kubectl virt"} {
		if got := New(genericiooptions.IOStreams{}, arg0).Program; got != want {
			t.Errorf("%s: %s, want %s", arg0, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{{nil, 0}, {errors.New("x"), 1}, {Usagef("x"), 2}, {Usage(nil), 0}, {&ExitError{Code: 7, Program: "ssh"}, 7}} {
		if got := ExitCode(tc.err); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
		}
	}
}

// TestInherited hands the flags of the cluster on, whatever is in them.
func TestInherited(t *testing.T) {
	env := New(genericiooptions.IOStreams{}, "virtctl")
	root := &cobra.Command{Use: "virtctl"}
	env.Config.AddFlags(root.PersistentFlags())
	var got []string
	sub := &cobra.Command{Use: "ssh", Run: func(cmd *cobra.Command, _ []string) { got = Inherited(cmd) }}
	sub.Flags().String("own", "", "")
	root.AddCommand(sub)
	root.SetArgs([]string{"ssh", "--own", "x", "--context", "a b", "-n", "prod", "--as-group", "g1", "--as-group", "g2"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"--as-group=g1", "--as-group=g2", "--context=a b", "--namespace=prod"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
