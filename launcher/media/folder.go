package media

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of what is put on one disk. The API keeps ConfigMaps and Secrets below 1 MiB each.
const (
	maxFolderBytes = 4 << 20
	maxFolderFiles = 10000
)

// ErrTooLarge is returned for a folder that holds more than a config disk should.
var ErrTooLarge = errors.New("holds too much for a config disk")

// Folder reads the files below a folder that the kubelet has filled, by their path in it. The kubelet keeps each version of the
// files in a folder of its own, whose name begins with two dots, and links to the newest: what begins so is left out, and links
// are followed.
func Folder(dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	return out, addFolder(dir, "", new(int64), out)
}

func addFolder(dir, prefix string, size *int64, out map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		path, name := filepath.Join(dir, e.Name()), prefix+e.Name()
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // taken away while we read
		}
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			if err := addFolder(path, name+"/", size, out); err != nil {
				return err
			}
			continue
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is no regular file", name)
		}
		if *size += info.Size(); *size > maxFolderBytes || len(out) >= maxFolderFiles {
			return fmt.Errorf("%w: at most %d files with %d bytes", ErrTooLarge, maxFolderFiles, maxFolderBytes)
		}
		if out[name], err = os.ReadFile(path); err != nil {
			return err
		}
	}
	return nil
}

// WriteFiles writes a disk with a label and these files to path, whole or not at all.
func WriteFiles(path, label string, files map[string][]byte) error {
	return writeISO(path, label, files)
}

// HasAnswers tells whether there is an answer file of Windows Setup: autounattend.xml for an installation, unattend.xml for the
// first start of an installed system, in whatever case.
func HasAnswers(files map[string][]byte) bool {
	for name := range files {
		switch strings.ToLower(name) {
		case "autounattend.xml", "unattend.xml":
			return true
		}
	}
	return false
}
