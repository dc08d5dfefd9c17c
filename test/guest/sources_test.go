package guest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteSources(t *testing.T) {
	const deb822 = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://other.example/apt
Suites: nodistro
Components: main
`
	const keys = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
		err   string
	}{
		{
			"deb822", map[string]string{"sources.list.d/debian.sources": deb822},
			keys + "http://mirror.example/debian bookworm main\n" + keys + "http://mirror.example/debian bookworm-updates main\n", "",
		},
		{
			"list", map[string]string{"sources.list": "deb  [arch=amd64 trusted=no] http://a.example/d bookworm contrib main # x\n" +
				"#deb http://b.example/d bookworm main\ndeb-src http://c.example/d bookworm main\ndeb http://d.example/d bookworm contrib\n" +
				"deb http://e.example/apt cloud-bookworm main\ndeb http://f.example/s bookworm-security main\n"},
			keys + "http://a.example/d bookworm main\n" + keys + "http://f.example/s bookworm-security main\n", "",
		},
		{
			"twice", map[string]string{"sources.list": "deb http://a.example/d bookworm main\n", "sources.list.d/x.list": "deb http://a.example/d bookworm main\n"},
			keys + "http://a.example/d bookworm main\n", "",
		},
		{
			"none", map[string]string{"sources.list": "deb http://a.example/d trixie main\n"},
			"", "no source for Debian bookworm with component main in ",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			apt := t.TempDir()
			for name, content := range tc.files {
				path := filepath.Join(apt, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out := filepath.Join(t.TempDir(), "out")
			err := writeSources(apt, out)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err+apt+": add one to sources.list" {
					t.Errorf("error = %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("list (-want +got):\n%s", diff)
			}
		})
	}
}
