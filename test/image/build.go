package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations that carry the image's name inside an archive: containerd reads its own first.
const (
	annotationContainerdName = "io.containerd.image.name"
	annotationRefName        = "org.opencontainers.image.ref.name"
)

// Build writes the image that spec describes to the archive out and returns the digest of its manifest.
// The archive appears whole or not at all.
func Build(spec Spec, out string) (v1.Hash, error) {
	if err := spec.validate(); err != nil {
		return v1.Hash{}, err
	}
	var layers []*layer
	for _, b := range spec.Base {
		l, err := baseLayer(b)
		if err != nil {
			return v1.Hash{}, err
		}
		layers = append(layers, l)
	}
	if len(spec.Files) > 0 {
		l, err := filesLayer(spec.Files, len(spec.Base) == 0)
		if err != nil {
			return v1.Hash{}, err
		}
		layers = append(layers, l)
	}

	blobs := make([]*layer, 0, len(layers)+2)
	seen := make(map[v1.Hash]bool)
	for _, l := range layers {
		if !seen[l.hash] {
			seen[l.hash] = true
			blobs = append(blobs, l)
		}
	}
	config, err := jsonBlob(configFile(&spec, layers))
	if err != nil {
		return v1.Hash{}, err
	}
	manifest, err := jsonBlob(manifestFor(config, layers))
	if err != nil {
		return v1.Hash{}, err
	}
	blobs = append(blobs, config, manifest)
	index, err := jsonBlob(indexFor(spec.Ref, spec.architecture(), manifest))
	if err != nil {
		return v1.Hash{}, err
	}
	if err := writeArchive(out, blobs, index); err != nil {
		return v1.Hash{}, fmt.Errorf("writing image archive %s: %w", out, err)
	}
	return manifest.hash, nil
}

func configFile(spec *Spec, layers []*layer) v1.ConfigFile {
	c := v1.ConfigFile{
		Architecture: spec.architecture(),
		OS:           "linux",
		Created:      v1.Time{Time: epoch},
		RootFS:       v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: spec.Entrypoint,
			Cmd:        spec.Cmd,
			User:       spec.User,
			Env:        spec.Env,
			WorkingDir: spec.WorkingDir,
			Labels:     spec.Labels,
		},
	}
	for _, l := range layers {
		// Layers are not compressed, so the digest is the diff id.
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.hash)
	}
	return c
}

func manifestFor(config *layer, layers []*layer) v1.Manifest {
	m := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: types.OCIConfigJSON, Size: config.size, Digest: config.hash},
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: types.OCIUncompressedLayer, Size: l.size, Digest: l.hash})
	}
	return m
}

func indexFor(ref, arch string, manifest *layer) v1.IndexManifest {
	return v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType:   types.OCIManifestSchema1,
			Size:        manifest.size,
			Digest:      manifest.hash,
			Platform:    &v1.Platform{OS: "linux", Architecture: arch},
			Annotations: map[string]string{annotationContainerdName: ref, annotationRefName: ref},
		}},
	}
}

func jsonBlob(v any) (*layer, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding image metadata: %w", err)
	}
	return newLayer(func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func writeArchive(out string, blobs []*layer, index *layer) (err error) {
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	tw := tar.NewWriter(f)
	layout := &layer{size: int64(len(layoutVersion)), write: func(w io.Writer) error {
		_, err := io.WriteString(w, layoutVersion)
		return err
	}}
	if err := writeBlob(tw, "oci-layout", layout); err != nil {
		return err
	}
	if err := writeBlob(tw, "index.json", index); err != nil {
		return err
	}
	for _, b := range blobs {
		if err := writeBlob(tw, blobPath(b.hash), b); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), out)
}

const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

func blobPath(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

func writeBlob(tw *tar.Writer, name string, l *layer) error {
	err := tw.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: l.size, ModTime: epoch, Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	// A source may have changed since it was measured: then size or digest differ, and the archive would lie.
	h := sha256.New()
	if err := l.write(io.MultiWriter(tw, h)); err != nil {
		if errors.Is(err, tar.ErrWriteTooLong) {
			return fmt.Errorf("%s changed while the image was built: build it again", name)
		}
		return err
	}
	if l.hash != (v1.Hash{}) && l.hash.Hex != hex.EncodeToString(h.Sum(nil)) {
		return fmt.Errorf("%s changed while the image was built: build it again", name)
	}
	return nil
}
