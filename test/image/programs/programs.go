// Package programs builds the container images of the project's own programs for the local cluster, each
// only when its program, its base or its description has changed.
//
// It must not load images into a cluster or build their base: it takes the base's layer as a file.
package programs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/test/cluster/progress"
	"github.com/virtplane/virtplane/test/image"
)

// Registry is the local cluster's, with the project's folder in it.
const Registry = "registry.virtplane.local:5000/virtplane/"

// Program is one image.
type Program struct {
	// Name is that of the folder below cmd, of the image and of the file below /usr/bin.
	Name string
	// Base says that the image stands on the base layer that carries QEMU and the network tools.
	Base bool
	// User is whom the image runs as unless the pod says otherwise; empty is root.
	User string
}

// All are the images that an installation needs.
var All = []Program{
	{Name: "virt-api", User: "65532:65532"},
	{Name: "virt-controller", User: "65532:65532"},
	{Name: "virt-handler", Base: true},
	{Name: "virt-launcher", Base: true, User: "107:107"},
	{Name: "hostpath-csi"},
	{Name: "bridge-cni"},
}

// Options say where things are.
type Options struct {
	Root      string // the checkout
	Cache     string // folder for programs and archives
	BaseLayer string // uncompressed tar, needed by programs with a base
	LDFlags   string // for the linker: the version that the programs report
	Print     *progress.Printer
}

// Build brings the archives of these programs up to date and returns their paths in the same order.
func Build(ctx context.Context, o Options, programs []Program) ([]string, error) {
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(o.Cache, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	bin := filepath.Join(o.Cache, "bin")
	err = o.Print.Step("programs compiled", func() (string, error) { return "", compile(ctx, o, bin, programs) })
	if err != nil {
		return nil, err
	}
	var archives []string
	for _, p := range programs {
		archive, err := pack(o, filepath.Join(bin, p.Name), p)
		if err != nil {
			return nil, fmt.Errorf("building the image of %s: %w", p.Name, err)
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

// compile leaves it to Go to know what has changed.
func compile(ctx context.Context, o Options, bin string, programs []Program) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", o.LDFlags, "-o", bin + "/"}
	for _, p := range programs {
		args = append(args, "./cmd/"+p.Name)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = o.Root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("compiling the programs: %w\n%s", err, stderr.String())
	}
	return nil
}

func pack(o Options, program string, p Program) (string, error) {
	path := "/usr/bin/" + p.Name
	spec := image.Spec{
		Ref:        Registry + p.Name + ":devel",
		Files:      []image.File{{Path: path, Mode: 0o755, Source: program}},
		Entrypoint: []string{path},
		User:       p.User,
	}
	if p.Base {
		if o.BaseLayer == "" {
			return "", errors.New("the base layer is not given")
		}
		spec.Base = []image.LayerFile{image.LayerFile(o.BaseLayer)}
	}
	key, err := key(spec)
	if err != nil {
		return "", err
	}
	archive := filepath.Join(o.Cache, p.Name+"-"+key+".tar")
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	digest, err := image.Build(spec, archive)
	if err != nil {
		return "", err
	}
	o.Print.Line("• %s@%s", spec.Ref, digest)
	return archive, removeOthers(archive, p.Name)
}

// key changes with whatever goes into the image. The program is read; the base, which is large, counts as
// the same file while its name, size and time are the same.
func key(spec image.Spec) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(spec); err != nil {
		return "", err
	}
	for _, b := range spec.Base {
		info, err := os.Stat(string(b))
		if err != nil {
			return "", fmt.Errorf("looking at the base layer: %w", err)
		}
		fmt.Fprintf(h, "%d %d\n", info.Size(), info.ModTime().UnixNano())
	}
	for _, f := range spec.Files {
		source, err := os.Open(f.Source)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, source)
		if err := errors.Join(err, source.Close()); err != nil {
			return "", fmt.Errorf("reading %s: %w", f.Source, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// removeOthers drops the archives of earlier builds of a program: a base makes each of them large.
func removeOthers(archive, program string) error {
	all, err := filepath.Glob(filepath.Join(filepath.Dir(archive), program+"-*.tar"))
	if err != nil {
		return err
	}
	for _, old := range all {
		key := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(old), program+"-"), ".tar")
		if old == archive || strings.Contains(key, "-") {
			continue // the new one, or that of a program with a longer name
		}
		if err := os.Remove(old); err != nil {
			return err
		}
	}
	return nil
}

// Select gives the programs with these names, or all.
func Select(names []string) ([]Program, error) {
	if len(names) == 0 {
		return All, nil
	}
	var chosen []Program
	for _, n := range names {
		i := slices.IndexFunc(All, func(p Program) bool { return p.Name == n })
		if i < 0 {
			return nil, fmt.Errorf("there is no image of %q", n)
		}
		chosen = append(chosen, All[i])
	}
	return chosen, nil
}

// lock keeps two builds from writing the same files.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close() // the lock's error says more
		return nil, fmt.Errorf("locking %s: %w", file, err)
	}
	return func() { _ = f.Close() }, nil
}
