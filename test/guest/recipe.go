package guest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/virtplane/virtplane/hack/images"
	"github.com/virtplane/virtplane/test/image"
)

// The names of what can be built.
const (
	// Tiny is a Linux of a few MiB that runs from memory, with a kernel of our own configuration that drives
	// what virtio, NVMe and ACPI offer.
	Tiny = "tiny"
	// TinyAgent is Tiny with Debian's qemu-guest-agent.
	TinyAgent = "tiny-agent"
	// TinySigned is Tiny with Debian's signed cloud kernel, which Secure Boot asks for.
	TinySigned = "tiny-signed"
	// TinyGeneric is Tiny with Debian's generic kernel, which boots several seconds slower but drives
	// emulated hardware: SATA, e1000e, USB, the i6300esb watchdog.
	TinyGeneric = "tiny-generic"
	// Null is a disk whose boot sector halts the processor: the cheapest guest there is.
	Null = "null"
	// Debian is a Debian 12 with cloud-init, qemu-guest-agent and sshd.
	Debian = "debian"
	// Base is the root file system under the images of virt-launcher and virt-handler.
	Base = "base"
	// TinyKernel is the kernel of Tiny and TinyAgent; it is built when one of them is.
	TinyKernel = "tiny-kernel"
)

// Files of a result, as arguments of Result.File. A result has those that make sense for it.
const (
	DiskRaw   = "disk.raw"
	DiskQCOW2 = "disk.qcow2"
	Kernel    = "vmlinuz"
	Initrd    = "initrd"
	Layer     = "layer.tar"
	Packages  = "packages.txt"
)

// registry is the local cluster's.
const registry = "registry.virtplane.local:5000/virtplane/"

// qemu is the user and group that QEMU runs as; it must be able to read what an image holds.
const qemu = 107

//go:embed all:tiny all:kernel all:null all:debian
var guestFiles embed.FS

// recipe says how one thing is made.
type recipe struct {
	name string
	// format is part of the key: raise it when the Go side of the build changes what comes out.
	format int
	// files are the inputs; script is the one to run, with args.
	files  fs.FS
	script string
	// args may hold the placeholders sourcesArg, partArg and outArg.
	args []string
	// part is the name of a recipe whose result this one takes in.
	part string
	// assemble turns what the script left in the result's folder into the files that stay there.
	assemble func(ctx context.Context, dir string) error
	images   []packed
}

const (
	sourcesArg = "{sources}"
	partArg    = "{part}"
	outArg     = "{out}"
)

// packed is a container image made from files of the result.
type packed struct {
	name  string            // of the archive and the repository
	files map[string]string // path in the image: file of the result
}

var recipes = []recipe{
	ownKernel(tiny(Tiny, partArg, []packed{{
		name:  "guest-tiny-kernel",
		files: map[string]string{"/boot/vmlinuz": Kernel, "/boot/initrd": Initrd},
	}})),
	ownKernel(tiny(TinyAgent, partArg, nil, "agent")),
	tiny(TinySigned, "linux-image-cloud-amd64", nil),
	tiny(TinyGeneric, "linux-image-amd64", nil),
	{
		name: Null, format: 1, files: sub("null"), script: "build.sh", args: []string{outArg},
		assemble: assembleNull,
		images:   []packed{{name: "guest-null", files: map[string]string{"/disk/null.raw": DiskRaw}}},
	},
	{
		name: Base, format: 1, files: images.Files, script: "base.sh", args: []string{sourcesArg, outArg},
	},
	{
		name: Debian, format: 2, files: sub("debian"), script: "build.sh", args: []string{sourcesArg, outArg},
		assemble: assembleDebian,
		images:   []packed{{name: "guest-debian", files: map[string]string{"/disk/debian.qcow2": DiskQCOW2}}},
	},
}

// parts are the recipes of what only other recipes take: Build makes them when it must.
var parts = []recipe{
	{name: TinyKernel, format: 1, files: sub("kernel"), script: "build.sh", args: []string{outArg}},
}

// tiny is the recipe of a tiny guest with a kernel, further images, and further contents.
func tiny(name, kernel string, more []packed, contents ...string) recipe {
	disk := packed{name: "guest-" + name, files: map[string]string{"/disk/" + name + ".raw": DiskRaw}}
	return recipe{
		name: name, format: 1, files: sub("tiny"), script: "build.sh", args: append([]string{kernel, outArg}, contents...),
		assemble: assembleTiny,
		images:   append([]packed{disk}, more...),
	}
}

func ownKernel(r recipe) recipe {
	r.part = TinyKernel
	return r
}

func sub(dir string) fs.FS {
	files, err := fs.Sub(guestFiles, dir)
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return files
}

// Names are the names that Build takes, in the order in which it builds all of them.
func Names() []string {
	var names []string
	for _, r := range recipes {
		names = append(names, r.name)
	}
	return names
}

func lookUp(name string) (recipe, error) {
	for _, r := range slices.Concat(recipes, parts) {
		if r.name == name {
			return r, nil
		}
	}
	return recipe{}, fmt.Errorf("unknown guest %q: must be one of %s", name, strings.Join(Names(), ", "))
}

// key is a hash of all that goes into the result, except the versions of Debian's packages: a new kernel does not
// rebuild a guest by itself.
func (r recipe) key() (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "format %d\nname %s\nscript %s %q\n", r.format, r.name, r.script, r.args)
	if r.part != "" {
		part, err := lookUp(r.part)
		if err != nil {
			return "", err
		}
		key, err := part.key()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "part %s %s\n", r.part, key)
	}
	for _, p := range r.images {
		fmt.Fprintf(h, "image %s %v\n", p.name, p.files) // fmt sorts maps
	}
	err := fs.WalkDir(r.files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(r.files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "file %s %d\n%s", path, len(data), data)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading the recipe of %s: %w", r.name, err)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// spec is the description of the image whose files are in dir.
func (p packed) spec(dir string) image.Spec {
	s := image.Spec{Ref: registry + p.name + ":devel", Architecture: "amd64"}
	for path, file := range p.files {
		s.Files = append(s.Files, image.File{
			Path: path, Source: filepath.Join(dir, file), Mode: 0o440, UID: qemu, GID: qemu,
		})
	}
	return s
}
