package credentials

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of one Secret; it can hold no more than 1 MiB in all.
const (
	maxValue = 1 << 20
	maxKeys  = 1024
)

// Read gives the values of a Secret that is mounted at a folder, by their keys.
func Read(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		// The kubelet keeps the values in a hidden folder and links each of them.
		if strings.HasPrefix(e.Name(), "..") || e.IsDir() {
			continue
		}
		if len(out) == maxKeys {
			return nil, fmt.Errorf("%s has more than %d keys", dir, maxKeys)
		}
		value, err := readValue(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		out[e.Name()] = value
	}
	return out, nil
}

func readValue(path string) (value []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	value, err = io.ReadAll(io.LimitReader(f, maxValue+1))
	if err == nil && len(value) > maxValue {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxValue)
	}
	return value, err
}

// Keys gives the SSH public keys of a Secret: each value holds any number of them, one a line, as an authorized_keys file
// does. Their order is that of the Secret's keys; a key that stands there twice is given once.
func Keys(secret map[string][]byte) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(secret)) {
		for line := range strings.Lines(string(secret[name])) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return out
}

// Passwords gives the passwords of a Secret, whose keys are the names of users. White space around a password is that of
// the file it came from.
func Passwords(secret map[string][]byte) map[string]string {
	out := map[string]string{}
	for user, value := range secret {
		if password := strings.TrimSpace(string(value)); password != "" {
			out[user] = password
		}
	}
	return out
}
