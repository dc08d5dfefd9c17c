package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// epoch is the time of every entry, so that equal input makes equal layers.
var epoch = time.Unix(0, 0).UTC()

// layer is a tar stream that can be written again and again with the same bytes; that way it is measured
// first and copied later without a temporary file.
type layer struct {
	write func(io.Writer) error
	hash  v1.Hash
	size  int64
}

func newLayer(write func(io.Writer) error) (*layer, error) {
	h := sha256.New()
	c := &countingWriter{w: h}
	if err := write(c); err != nil {
		return nil, err
	}
	return &layer{
		write: write,
		hash:  v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))},
		size:  c.n,
	}, nil
}

// baseLayer takes a tar file as it is. Only its head is looked at: a compressed file would be stored under
// the wrong media type.
func baseLayer(file LayerFile) (*layer, error) {
	head := make([]byte, 262)
	f, err := os.Open(string(file))
	if err != nil {
		return nil, fmt.Errorf("base layer: %w", err)
	}
	_, err = io.ReadFull(f, head)
	f.Close()
	if err != nil || string(head[257:]) != "ustar" {
		return nil, fmt.Errorf("base layer %s: not an uncompressed tar file: unpack it first", file)
	}
	return newLayer(func(w io.Writer) error { return copyFile(w, string(file)) })
}

func copyFile(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// filesLayer makes the top layer. With parents set it also writes the parent directories; over a base it
// must not, because an entry for a directory would replace a symbolic link of that name (/bin of Debian).
func filesLayer(files []File, parents bool) (*layer, error) {
	files = slices.Clone(files)
	if parents {
		files = append(files, missingParents(files)...)
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return newLayer(func(w io.Writer) error {
		tw := tar.NewWriter(w)
		for _, f := range files {
			if err := writeEntry(tw, f); err != nil {
				return fmt.Errorf("writing %s: %w", f.Path, err)
			}
		}
		return tw.Close()
	})
}

func missingParents(files []File) []File {
	have := make(map[string]bool)
	for _, f := range files {
		have[f.Path] = true
	}
	var dirs []File
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "/" && !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			dirs = append(dirs, File{Path: dir, Mode: fs.ModeDir | 0o755})
		}
	}
	return dirs
}

func writeEntry(tw *tar.Writer, f File) error {
	h := &tar.Header{
		Name:    strings.TrimPrefix(f.Path, "/"),
		Mode:    permissions(f.Mode),
		Uid:     f.UID,
		Gid:     f.GID,
		ModTime: epoch,
		Format:  tar.FormatPAX,
	}
	switch {
	case f.Mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return tw.WriteHeader(h)
	case f.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		return tw.WriteHeader(h)
	}
	h.Typeflag = tar.TypeReg
	content, size, err := openContent(f)
	if err != nil {
		return err
	}
	defer content.Close()
	h.Size = size
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(tw, content)
	return err
}

func openContent(f File) (io.ReadCloser, int64, error) {
	if f.Source == "" {
		return io.NopCloser(bytes.NewReader(f.Content)), int64(len(f.Content)), nil
	}
	in, err := os.Open(f.Source)
	if err != nil {
		return nil, 0, err
	}
	st, err := in.Stat()
	if err != nil {
		in.Close()
		return nil, 0, err
	}
	if !st.Mode().IsRegular() {
		in.Close()
		return nil, 0, fmt.Errorf("source %s: must be a regular file", f.Source)
	}
	return in, st.Size(), nil
}

// permissions gives the tar mode bits, with the defaults that File.Mode promises.
func permissions(m fs.FileMode) int64 {
	bits := int64(m.Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.mode != 0 {
			bits |= b.bit
		}
	}
	switch {
	case bits != 0:
		return bits
	case m.IsDir():
		return 0o755
	}
	return 0o644
}
