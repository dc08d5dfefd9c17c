package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Base is what any machine's root directory begins with.
type Base struct {
	Name string
	// Hosts maps names to addresses.
	Hosts map[string]string
	// Nameserver and Search go to /etc/resolv.conf.
	Nameserver string
}

// fromHost are files of the host's /etc that programs need and that say nothing about the host.
var fromHost = []string{"protocols", "services", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "localtime", "os-release"}

// WriteBase makes the root directory with an /etc of its own.
func WriteBase(root string, b Base) error {
	id := sha256.Sum256([]byte(root))
	hosts := []string{"127.0.0.1 localhost", "::1 localhost"}
	for name, ip := range b.Hosts {
		hosts = append(hosts, ip+" "+name)
	}
	files := map[string]string{
		"etc/hostname":    b.Name + "\n",
		"etc/hosts":       strings.Join(hosts, "\n") + "\n",
		"etc/resolv.conf": "nameserver " + b.Nameserver + "\n",
		"etc/machine-id":  hex.EncodeToString(id[:16]) + "\n",
		"etc/passwd":      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"etc/group":       "root:x:0:\nnogroup:x:65534:\n",
	}
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), dirMode); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, name := range fromHost {
		content, err := os.ReadFile(filepath.Join("/etc", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("copying the host's %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(root, "etc", name), content, 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{"root", "var/log", "var/lib", "var/tmp", "mnt", "opt"} {
		if err := os.MkdirAll(filepath.Join(root, dir), dirMode); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(root, "var/run")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// EtcBinds are folders of the host's /etc that are shown read-only: links from /usr lead there.
func EtcBinds() []Bind {
	var binds []Bind
	for _, dir := range []string{"/etc/alternatives", "/etc/ssl"} {
		if _, err := os.Stat(dir); err == nil {
			binds = append(binds, Bind{Source: dir, Target: dir, ReadOnly: true})
		}
	}
	return binds
}
