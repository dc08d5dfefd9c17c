package archives

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/spec"
)

// buildLimit is how long three systems may take from an empty cache, beside other packages.
const buildLimit = 12 * time.Minute

// TestArchives builds the archives of the systems that users work on, looks for each system's program in its archive, and
// unpacks and runs the one of this system, as the manual says.
func TestArchives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	build := exec.CommandContext(ctx, "../../hack/virtctl-archives.sh", "linux/amd64", "darwin/arm64", "windows/amd64")
	build.Env = append(os.Environ(), "OUT="+dir, "VERSION=v0.1.2")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 3 {
		t.Errorf("there are %v, %v", all, err)
	}
	for _, tc := range []struct {
		archive, program string
		check            func(program []byte) error
	}{
		{"linux-amd64.tar.gz", "virtctl", func(program []byte) error {
			f, err := elf.NewFile(bytes.NewReader(program))
			if err == nil && f.Machine != elf.EM_X86_64 {
				err = fmt.Errorf("it is for %s", f.Machine)
			}
			return err
		}},
		{"darwin-arm64.tar.gz", "virtctl", func(program []byte) error {
			f, err := macho.NewFile(bytes.NewReader(program))
			if err == nil && (f.Cpu != macho.CpuArm64 || f.Type != macho.TypeExec) {
				err = fmt.Errorf("it is a %s for %s", f.Type, f.Cpu)
			}
			return err
		}},
		{"windows-amd64.*", "virtctl.exe", func(program []byte) error {
			f, err := pe.NewFile(bytes.NewReader(program))
			if err == nil && (f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 || f.Characteristics&pe.IMAGE_FILE_EXECUTABLE_IMAGE == 0) {
				err = fmt.Errorf("it is for machine %#x and has characteristics %#x", f.Machine, f.Characteristics)
			}
			return err
		}},
	} {
		found, err := filepath.Glob(filepath.Join(dir, "virtctl-v0.1.2-"+tc.archive))
		if err != nil || len(found) != 1 {
			t.Errorf("%s: %v, %v", tc.archive, found, err)
			continue
		}
		name, mode, program, err := unpack(found[0])
		if err != nil || name != tc.program || mode&0o111 == 0 {
			t.Errorf("%s holds %q with mode %s, %v; want %s", found[0], name, mode, err, tc.program)
		} else if err := tc.check(program); err != nil {
			t.Errorf("%s in %s: %v", name, found[0], err)
		}
	}

	extract := exec.CommandContext(ctx, "tar", "-xvf", "virtctl-v0.1.2-linux-amd64.tar.gz")
	extract.Dir = dir
	if out, err := extract.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "virtctl" {
		t.Fatalf("unpacking: %v\n%s", err, out)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"gitVersion": "v1.9.0"}`)
	}))
	defer server.Close()
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(config, []byte(`{"clusters": [{"name": "c", "cluster": {"server": "`+server.URL+`"}}], "contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	version := exec.CommandContext(ctx, filepath.Join(dir, "virtctl"), "version")
	version.Env = append(os.Environ(), "KUBECONFIG="+config)
	out, err := version.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `GitVersion:"v0.1.2"`) || !strings.Contains(string(out), `Server Version: version.Info{GitVersion:"v1.9.0"`) {
		t.Errorf("with the cluster of KUBECONFIG it prints %s, %v", out, err)
	}
	spec.Covers(t, "P1-VCTLINST-01", "P1-VCTLINST-03", "P1-VCTLINST-04")
}

// unpack reads the one file of an archive.
func unpack(archive string) (name string, mode os.FileMode, content []byte, err error) {
	if strings.HasSuffix(archive, ".zip") {
		z, err := zip.OpenReader(archive)
		if err != nil {
			return "", 0, nil, err
		}
		defer z.Close()
		if len(z.File) != 1 {
			return "", 0, nil, fmt.Errorf("it holds %d files", len(z.File))
		}
		f, err := z.File[0].Open()
		if err != nil {
			return "", 0, nil, err
		}
		defer f.Close()
		content, err = io.ReadAll(f)
		return z.File[0].Name, z.File[0].Mode(), content, err
	}
	f, err := os.Open(archive)
	if err != nil {
		return "", 0, nil, err
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		return "", 0, nil, err
	}
	files := tar.NewReader(packed)
	header, err := files.Next()
	if err != nil {
		return "", 0, nil, err
	}
	if content, err = io.ReadAll(files); err != nil {
		return "", 0, nil, err
	}
	if _, err := files.Next(); !errors.Is(err, io.EOF) {
		return "", 0, nil, fmt.Errorf("it holds more than %s: %v", header.Name, err)
	}
	return header.Name, header.FileInfo().Mode(), content, nil
}
