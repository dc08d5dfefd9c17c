package image

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Archive is an image archive opened for reading.
type Archive struct {
	file  *os.File
	blobs map[string]*io.SectionReader
	index v1.IndexManifest
}

// Open reads the table of contents of an image archive, as Build writes it. Close it after use; images got
// from it read from the file until then.
func Open(name string) (*Archive, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening image archive: %w", err)
	}
	a := &Archive{file: f, blobs: make(map[string]*io.SectionReader)}
	if err := a.readContents(); err != nil {
		f.Close()
		return nil, fmt.Errorf("reading image archive %s: %w", name, err)
	}
	return a, nil
}

func (a *Archive) readContents() error {
	tr := tar.NewReader(a.file)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		// The tar reader reads headers only, so the file stands at the start of this entry's bytes.
		pos, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.blobs[h.Name] = io.NewSectionReader(a.file, pos, h.Size)
	}
	raw, err := a.read("index.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &a.index); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	if n := len(a.index.Manifests); n != 1 {
		return fmt.Errorf("index.json: holds %d images, want 1", n)
	}
	return nil
}

// maxMetadata bounds what is read into memory: indexes, manifests and configurations are a few KiB.
const maxMetadata = 4 << 20

func (a *Archive) read(name string) ([]byte, error) {
	s, ok := a.blobs[name]
	if !ok {
		return nil, fmt.Errorf("%s is missing: not an OCI image archive", name)
	}
	if s.Size() > maxMetadata {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that metadata may have", name, s.Size(), maxMetadata)
	}
	return io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
}

// Close closes the file below.
func (a *Archive) Close() error { return a.file.Close() }

// Ref is the image's name.
func (a *Archive) Ref() string {
	d := a.index.Manifests[0]
	if ref := d.Annotations[annotationContainerdName]; ref != "" {
		return ref
	}
	return d.Annotations[annotationRefName]
}

// Digest is the digest of the image's manifest.
func (a *Archive) Digest() v1.Hash { return a.index.Manifests[0].Digest }

// Image gives the image, reading layers from the archive when they are asked for.
func (a *Archive) Image() (v1.Image, error) {
	core, err := a.core()
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(core)
}

func (a *Archive) core() (*archiveImage, error) {
	raw, err := a.read(blobPath(a.Digest()))
	if err != nil {
		return nil, err
	}
	i := &archiveImage{archive: a, rawManifest: raw}
	if err := json.Unmarshal(raw, &i.manifest); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", a.Digest(), err)
	}
	return i, nil
}

// archiveImage is what go-containerregistry needs to see an archive as an image.
type archiveImage struct {
	archive     *Archive
	rawManifest []byte
	manifest    v1.Manifest
}

var _ partial.CompressedImageCore = (*archiveImage)(nil)

func (i *archiveImage) MediaType() (types.MediaType, error) { return i.manifest.MediaType, nil }
func (i *archiveImage) RawManifest() ([]byte, error)        { return i.rawManifest, nil }
func (i *archiveImage) RawConfigFile() ([]byte, error) {
	return i.archive.read(blobPath(i.manifest.Config.Digest))
}

func (i *archiveImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, d := range append([]v1.Descriptor{i.manifest.Config}, i.manifest.Layers...) {
		if d.Digest != h {
			continue
		}
		blob, ok := i.archive.blobs[blobPath(h)]
		if !ok {
			return nil, fmt.Errorf("blob %s is missing from the archive", h)
		}
		return &archiveLayer{blob: blob, descriptor: d}, nil
	}
	return nil, fmt.Errorf("image has no layer %s", h)
}

type archiveLayer struct {
	blob       *io.SectionReader
	descriptor v1.Descriptor
}

func (l *archiveLayer) Digest() (v1.Hash, error)            { return l.descriptor.Digest, nil }
func (l *archiveLayer) Size() (int64, error)                { return l.descriptor.Size, nil }
func (l *archiveLayer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }
func (l *archiveLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(l.blob, 0, l.blob.Size())), nil
}
