package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFuzzKeys wants a key to follow whatever a package's fuzz tests are made of, and nothing else.
func TestFuzzKeys(t *testing.T) {
	root := t.TempDir()
	write := func(file, content string) {
		t.Helper()
		file = filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/toy\n\ngo 1.26\n")
	write("go.sum", "")
	write("a/a.go", "package a\n\nimport _ \"example.com/toy/b\"\n")
	write("a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc FuzzA(f *testing.F) {}\n")
	write("b/b.go", "package b\n")
	write("other/o.go", "package other\n")
	key := func() string {
		t.Helper()
		keys, err := fuzzKeys(t.Context(), root, []fuzzPackage{{"a", []string{"FuzzA"}}})
		if err != nil {
			t.Fatal(err)
		}
		return keys["a"]
	}
	last := key()
	if last == "" || key() != last {
		t.Fatalf("key %q does not last", last)
	}
	for _, tc := range []struct {
		file, content string
		changes       bool
	}{
		{"a/a.go", "package a\n\nimport _ \"example.com/toy/b\"\n\nvar x = 1\n", true},
		{"a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc FuzzA(f *testing.F) { f.Add(1) }\n", true},
		{"a/testdata/fuzz/FuzzA/one", "go test fuzz v1\nint(1)\n", true},
		{"b/b.go", "package b\n\nvar x = 1\n", true},
		{"go.sum", "\n", true},
		{"other/o.go", "package other\n\nvar x = 1\n", false},
	} {
		write(tc.file, tc.content)
		now := key()
		if (now != last) != tc.changes {
			t.Errorf("after a change of %s the key is another one: %v, want %v", tc.file, now != last, tc.changes)
		}
		last = now
	}
}
