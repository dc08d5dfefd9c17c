package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
)

// imageFolder is where a container disk keeps its image.
const imageFolder = "/disk"

// FindImage gives the path of the one image file of a container disk that is mounted at root. inside names the file,
// or is empty for the only one in /disk.
func FindImage(root, inside string) (string, error) {
	if inside != "" {
		return Resolve(root, inside, api.ReasonImageMissing)
	}
	folder, err := Resolve(root, imageFolder, api.ReasonImageMissing)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", api.Wrap(fmt.Errorf("container disk: reading %s: %w", imageFolder, err), codes.FailedPrecondition, api.ReasonImageUnreadable)
	}
	var found []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		found = append(found, e.Name())
	}
	sort.Strings(found)
	switch len(found) {
	case 0:
		return "", api.Errorf(codes.FailedPrecondition, api.ReasonImageMissing, "container disk: folder %s of the image holds no file", imageFolder)
	case 1:
		return Resolve(root, path.Join(imageFolder, found[0]), api.ReasonImageMissing)
	}
	return "", api.Errorf(codes.FailedPrecondition, api.ReasonImageAmbiguous,
		"container disk: folder %s of the image must hold one file, not %d: %s", imageFolder, len(found), strings.Join(found[:min(len(found), 5)], ", "))
}

// Resolve gives the real path of a file inside a mounted image, following links as if the image were the root, so
// that no link leads out of it.
func Resolve(root, inside, missing string) (string, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", api.Wrap(fmt.Errorf("image volume %s: %w", root, err), codes.FailedPrecondition, missing)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, strings.TrimLeft(path.Clean("/"+inside), "/"), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return "", api.Errorf(codes.FailedPrecondition, missing, "the image has no %s", path.Clean("/"+inside))
	case err != nil:
		return "", api.Wrap(fmt.Errorf("%s of the image: %w", path.Clean("/"+inside), err), codes.FailedPrecondition, api.ReasonImageUnreadable)
	}
	defer unix.Close(fd)
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", api.Wrap(fmt.Errorf("%s of the image: %w", path.Clean("/"+inside), err), codes.FailedPrecondition, api.ReasonImageUnreadable)
	}
	return real, nil
}
