package accounts

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/virtplane/virtplane/test/integration/harness"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRights keeps what "kubectl auth can-i --list" says of each account, in the components' namespace and in one of users, so
// that a right more is seen by whoever reads the change. What every account of the cluster has is left out.
func TestRights(t *testing.T) {
	list := func(account, namespace string) []string {
		out, err := env.KubectlRun(t.Context(), "", "auth", "can-i", "--list", "--no-headers", "-n", namespace, "--as=system:serviceaccount:"+harness.Namespace+":"+account,
			"--as-group=system:serviceaccounts", "--as-group=system:authenticated")
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(out) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return lines
	}
	for _, account := range []string{api, controller, handler, store, driver} {
		t.Run(account, func(t *testing.T) {
			var b strings.Builder
			for _, namespace := range []string{harness.Namespace, tenant} {
				everybody := list("nobody", namespace)
				lines := slices.DeleteFunc(list(account, namespace), func(l string) bool { return slices.Contains(everybody, l) })
				slices.Sort(lines)
				b.WriteString("namespace " + namespace + "\n" + strings.Join(lines, "\n") + "\n")
			}
			golden := filepath.Join("testdata", account+".txt")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("rights (-want +got); if they are meant, run this test with -update:\n%s", diff)
			}
		})
	}
}
