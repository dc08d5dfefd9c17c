package spec

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed manifests
var manifests embed.FS

// Manifests holds the manual's objects as clean YAML, one file for each example.
// A comment at a file's top says when the object must be refused.
func Manifests() fs.FS {
	sub, err := fs.Sub(manifests, "manifests")
	if err != nil {
		panic(err) // the folder is embedded, so this cannot happen
	}
	return sub
}

// Manifest gives one file of Manifests.
func Manifest(name string) ([]byte, error) {
	data, err := fs.ReadFile(Manifests(), name)
	if err != nil {
		return nil, fmt.Errorf("reading the manual's manifest %q: %w", name, err)
	}
	return data, nil
}
