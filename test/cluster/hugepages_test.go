package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/virtplane/virtplane/test/cluster/plan"
)

// TestHugePagesAreShared has clusters come and go: the host gets its pages back when the last one goes, whichever that is, and
// also when one was removed without giving them back.
func TestHugePagesAreShared(t *testing.T) {
	root := t.TempDir()
	p := hostPages{file: filepath.Join(root, "nr_hugepages"), holders: filepath.Join(root, "holders")}
	cluster := func(name string) plan.Dir {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return plan.Dir(dir)
	}
	count := func(when string, want int) {
		t.Helper()
		if got, err := readCount(p.file); err != nil || got != want {
			t.Errorf("%s: %d pages, %v, want %d", when, got, err, want)
		}
	}
	reserve := func(d plan.Dir) {
		t.Helper()
		if _, err := p.reserve(d); err != nil {
			t.Fatal(err)
		}
	}
	release := func(d plan.Dir) {
		t.Helper()
		if err := p.release(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.file, []byte("3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a, b, lost := cluster("a"), cluster("b"), cluster("lost")
	release(a)
	count("before any came", 3)
	reserve(a)
	reserve(b)
	count("both are there", hugePages)
	release(a)
	count("the first has gone", hugePages)
	reserve(a)
	release(b)
	count("the second has gone", hugePages)
	release(b)
	count("it goes again", hugePages)
	reserve(lost)
	if err := os.Remove(string(lost)); err != nil {
		t.Fatal(err)
	}
	release(a)
	count("all have gone", 3)
	if _, err := os.Stat(p.holders); err == nil {
		t.Error("the note of who holds them stays")
	}
	if err := os.WriteFile(p.file, []byte("100"), 0o644); err != nil {
		t.Fatal(err)
	}
	reserve(a)
	release(a)
	count("on a host that has more", 100)
}
