package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
)

// DefaultSizeLimit is the virtual size beyond which an image is refused unless the caller says otherwise.
const DefaultSizeLimit = 1 << 40

// Limits of one run of qemu-img. An image that needs more to be looked at is an attack.
const (
	imgMemory     = 1 << 30
	imgCPUSeconds = 30
	imgTime       = time.Minute
	// imgOutput bounds what is read of its answer.
	imgOutput = 1 << 20
)

// Tool runs qemu-img.
type Tool struct {
	// QemuImg and Prlimit are programs; empty means qemu-img and prlimit of PATH.
	QemuImg, Prlimit string
	// SizeLimit bounds an image's virtual size, 0 means DefaultSizeLimit.
	SizeLimit int64
}

// Info is what is known of an image that was accepted.
type Info struct {
	Path        string
	Format      string
	VirtualSize int64
}

// answer is what qemu-img info says; only what matters here.
type answer struct {
	Format      string  `json:"format"`
	VirtualSize int64   `json:"virtual-size"`
	Backing     *string `json:"backing-filename"`
	FullBacking *string `json:"full-backing-filename"`
	Encrypted   bool    `json:"encrypted"`
	Specific    struct {
		Data struct {
			DataFile *string `json:"data-file"`
			Corrupt  bool    `json:"corrupt"`
		} `json:"data"`
	} `json:"format-specific"`
}

// Inspect accepts an image file or refuses it with the reason.
func (t Tool) Inspect(ctx context.Context, path string) (Info, error) {
	if err := readable(path); err != nil {
		return Info{}, err
	}
	if what := compression(path); what != "" {
		return Info{}, api.Errorf(codes.FailedPrecondition, api.ReasonImageFormatUnknown,
			"image %s: is packed with %s; unpack it, QEMU reads raw and qcow2", path, what)
	}
	out, err := t.run(ctx, "info", "--output=json", "--force-share", path)
	if err != nil {
		return Info{}, api.Wrap(fmt.Errorf("image %s: %w", path, err), codes.FailedPrecondition, api.ReasonImageUnreadable)
	}
	return t.judge(path, out)
}

// judge reads what qemu-img said.
func (t Tool) judge(path string, out []byte) (Info, error) {
	refuse := func(reason, format string, args ...any) (Info, error) {
		return Info{}, api.Errorf(codes.FailedPrecondition, reason, "image "+path+": "+format, args...)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		return refuse(api.ReasonImageUnreadable, "qemu-img gave no JSON: %w", err)
	}
	limit := t.SizeLimit
	if limit <= 0 {
		limit = DefaultSizeLimit
	}
	switch {
	case a.Format != "raw" && a.Format != "qcow2":
		return refuse(api.ReasonImageFormatUnknown, "format %q must be raw or qcow2; convert it by qemu-img convert", a.Format)
	case a.Backing != nil || a.FullBacking != nil:
		return refuse(api.ReasonImageHasBackingFile, "has a backing file; flatten it by qemu-img convert")
	case a.Specific.Data.DataFile != nil:
		return refuse(api.ReasonImageHasExternalData, "keeps its data in another file; flatten it by qemu-img convert")
	case a.Encrypted:
		return refuse(api.ReasonImageFormatUnknown, "is encrypted; QEMU would need its key")
	case a.Specific.Data.Corrupt:
		return refuse(api.ReasonImageUnreadable, "is marked corrupt; repair it by qemu-img check -r all")
	case a.VirtualSize <= 0:
		return refuse(api.ReasonImageUnreadable, "is empty")
	case a.VirtualSize > limit:
		return refuse(api.ReasonImageTooLarge, "virtual size of %d bytes is over the limit of %d", a.VirtualSize, limit)
	}
	return Info{Path: path, Format: a.Format, VirtualSize: a.VirtualSize}, nil
}

// readable tells why a file cannot be an image.
func readable(path string) error {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return api.Errorf(codes.FailedPrecondition, api.ReasonImageMissing, "image %s: is not there", path)
	case errors.Is(err, fs.ErrPermission):
		return api.Errorf(codes.FailedPrecondition, api.ReasonImageUnreadable,
			"image %s: user %d may not read it; it must belong to 107:107 and have mode 0440", path, os.Getuid())
	case err != nil:
		return api.Wrap(fmt.Errorf("image %s: %w", path, err), codes.FailedPrecondition, api.ReasonImageUnreadable)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return api.Wrap(fmt.Errorf("image %s: %w", path, err), codes.FailedPrecondition, api.ReasonImageUnreadable)
	}
	if !info.Mode().IsRegular() {
		return api.Errorf(codes.FailedPrecondition, api.ReasonImageUnreadable, "image %s: is no regular file", path)
	}
	return nil
}

// compression names what a file is packed with. QEMU would take it for a raw disk and the guest would find no system.
func compression(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 6)
	if _, err := io.ReadFull(f, head); err != nil {
		return ""
	}
	for magic, name := range map[string]string{
		"\x1f\x8b": "gzip", "\xfd7zXZ\x00": "xz", "\x28\xb5\x2f\xfd": "zstd", "BZh": "bzip2", "PK\x03\x04": "zip",
	} {
		if strings.HasPrefix(string(head), magic) {
			return name
		}
	}
	return ""
}

// run runs qemu-img under limits and gives its output.
func (t Tool) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, imgTime)
	defer cancel()
	img, prlimit := t.QemuImg, t.Prlimit
	if img == "" {
		img = "qemu-img"
	}
	if prlimit == "" {
		prlimit = "prlimit"
	}
	limited := append([]string{"--as=" + strconv.Itoa(imgMemory), "--cpu=" + strconv.Itoa(imgCPUSeconds), "--core=0", "--", img}, args...)
	cmd := exec.CommandContext(ctx, prlimit, limited...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("qemu-img %s did not end within %s: %w", args[0], imgTime, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("qemu-img %s: %w", args[0], explain(err, stderr.String()))
	}
	return stdout.Bytes(), nil
}

// explain puts qemu-img's words before the exit status, and knows a full disk by them.
func explain(err error, stderr string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	text := strings.TrimSpace(stderr)
	if i := strings.LastIndex(text, "\n"); i >= 0 {
		text = text[i+1:]
	}
	text = strings.TrimPrefix(text, "qemu-img: ")
	ws, _ := exit.Sys().(syscall.WaitStatus)
	switch {
	case strings.Contains(text, syscall.ENOSPC.Error()) || strings.Contains(text, "No space left on device"):
		return fmt.Errorf("%s: %w", text, syscall.ENOSPC)
	case ws.Signaled() && text == "":
		return fmt.Errorf("ended by %s: it needed more than %d MiB or %d s", ws.Signal(), imgMemory>>20, imgCPUSeconds)
	case text == "":
		return err
	}
	return errors.New(text)
}

// bounded keeps the beginning of what it is given.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := imgOutput - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
