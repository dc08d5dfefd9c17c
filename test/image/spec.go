package image

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Spec says what an image is made of.
type Spec struct {
	// Ref is the full name of the image with its tag, such as registry.example:5000/team/app:devel.
	Ref string
	// Base holds the layers below Files, lowest first. Empty means the image starts from nothing.
	Base []LayerFile
	// Files become one layer on top of Base. An image without files has only its base.
	Files []File

	Entrypoint []string
	Cmd        []string
	// User is a uid, a name, or either with ":" and a group.
	User       string
	Env        []string
	WorkingDir string
	Labels     map[string]string
	// Architecture is a GOARCH; empty means that of the running program.
	Architecture string
}

// LayerFile is the path of a layer on disk: an uncompressed tar of a root file system. It is taken as it
// is, so images with the same base share the layer.
type LayerFile string

// File is one entry of the top layer. Exactly one of Source, Content and Link says what a regular file or
// symbolic link holds; a directory (Mode with fs.ModeDir) has none.
type File struct {
	// Path is absolute inside the image. Missing parents are made as root's, mode 0755.
	Path string
	// Mode holds the permission bits; 0 means 0644 for files and 0755 for directories.
	Mode fs.FileMode
	UID  int
	GID  int
	// Source is a file of the host.
	Source string
	// Content is used when Source and Link are empty; it may be empty too.
	Content []byte
	// Link makes a symbolic link to this target.
	Link string
}

func (s *Spec) validate() error {
	if _, err := name.NewTag(s.Ref, name.StrictValidation); err != nil {
		return fmt.Errorf("ref %q: must be a repository with a tag: %w", s.Ref, err)
	}
	if len(s.Base) == 0 && len(s.Files) == 0 {
		return fmt.Errorf("image %s: base and files are both empty: give at least one", s.Ref)
	}
	seen := make(map[string]bool, len(s.Files))
	for i, f := range s.Files {
		if err := f.validate(); err != nil {
			return fmt.Errorf("files[%d]: %w", i, err)
		}
		if seen[f.Path] {
			return fmt.Errorf("files[%d]: path %q stands twice", i, f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}

func (f *File) validate() error {
	if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
		return fmt.Errorf("path %q: must be absolute, clean and not the root", f.Path)
	}
	// A base name that starts like this is an order to delete when layers are applied.
	if strings.HasPrefix(path.Base(f.Path), ".wh.") {
		return fmt.Errorf("path %q: may not start with .wh., the mark of a deleted file", f.Path)
	}
	if t := f.Mode.Type(); t != 0 && t != fs.ModeDir {
		return fmt.Errorf("path %q: mode %v: only files and directories are supported; set link for a symbolic link", f.Path, f.Mode)
	}
	given := 0
	for _, is := range []bool{f.Source != "", len(f.Content) > 0, f.Link != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		return fmt.Errorf("path %q: only one of source, content and link may be set", f.Path)
	}
	if f.Mode.IsDir() && given > 0 {
		return fmt.Errorf("path %q: a directory may not have source, content or link", f.Path)
	}
	return nil
}

func (s *Spec) architecture() string {
	if s.Architecture != "" {
		return s.Architecture
	}
	return runtime.GOARCH
}

// countingWriter adds up what went through it.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
