package domain

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKeyChanges: of a file of keys only the lines that bear our mark are ours.
func TestKeyChanges(t *testing.T) {
	marked := func(keys ...string) []string { return markedKeys(keys) }
	a, b := marked("ssh-rsa A ann@home")[0], marked("ssh-rsa B")[0]
	for _, tc := range []struct {
		name                     string
		there, want, add, remove []string
	}{
		{"an empty file", nil, marked("ssh-rsa B"), []string{b}, nil},
		{"the owner's keys", []string{"ssh-rsa OWN", `from="10.0.0.1" ssh-rsa OTHER o@home`}, marked("ssh-rsa B"), []string{b}, nil},
		{"ours is there", []string{"ssh-rsa OWN", b}, marked("ssh-rsa B"), nil, nil},
		{"in another order", []string{b, a}, marked("ssh-rsa A ann@home", "ssh-rsa B"), nil, nil},
		{"one is taken back", []string{a, "ssh-rsa OWN", b}, marked("ssh-rsa B"), nil, []string{a}},
		{"all are taken back", []string{a, "ssh-rsa OWN", b}, nil, nil, []string{a, b}},
		{"the owner has the same key", []string{"ssh-rsa B"}, marked("ssh-rsa B"), []string{b}, nil},
		{"the owner has the same key and it is taken back", []string{"ssh-rsa B", b}, nil, nil, []string{b}},
		{"the owner has appended to our line", []string{"ssh-rsa OWN", b + "ssh-rsa NEW n@home"}, marked("ssh-rsa B"), []string{"ssh-rsa NEW n@home", b}, []string{b + "ssh-rsa NEW n@home"}},
		{"a key that bears the mark", nil, marked("ssh-rsa B kubevirt.io/access-credential"), []string{b}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			add, remove := keyChanges(tc.there, tc.want)
			if diff := cmp.Diff([][]string{tc.add, tc.remove}, [][]string{add, remove}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWriteKeysScript runs what an old agent runs in the guest.
func TestWriteKeysScript(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, ".ssh", "authorized_keys")
	write := func(keys ...string) {
		t.Helper()
		cmd := exec.Command("/bin/sh", "-c", writeKeysScript)
		cmd.Env = append(os.Environ(), "HOME="+home)
		if content := strings.Join(markedKeys(keys), "\n"); content != "" {
			cmd.Stdin = strings.NewReader(content + "\n")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	expect := func(what, want string) {
		t.Helper()
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", what, got, err, want)
		}
	}
	write("ssh-rsa A")
	expect("no file before", "ssh-rsa A"+keyMark+"\n")
	write("ssh-rsa A", "ssh-rsa B")
	expect("one more", "ssh-rsa A"+keyMark+"\nssh-rsa B"+keyMark+"\n")
	if err := os.WriteFile(file, []byte("# my laptop\nssh-rsa OWN o@home\n\nssh-rsa A"+keyMark+"\nssh-rsa LAST"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("ssh-rsa B")
	expect("the owner's lines", "# my laptop\nssh-rsa OWN o@home\n\nssh-rsa LAST\nssh-rsa B"+keyMark+"\n")
	write()
	expect("all are taken back", "# my laptop\nssh-rsa OWN o@home\n\nssh-rsa LAST\n")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write()
	expect("nothing at all", "")
	if err := os.Mkdir(filepath.Join(home, ".ssh", ".authorized_keys.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", writeKeysScript)
	cmd.Env = append(os.Environ(), "HOME="+home)
	if err := cmd.Run(); err == nil {
		t.Error("a file that cannot be written is no failure")
	}
}
