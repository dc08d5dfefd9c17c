// Package fake stands in for real mounts in tests that do not run as root. It keeps a table in memory and makes the mount points as directories; it must not be used outside of tests.
package fake

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/virtplane/virtplane/csi-driver/mount"
)

// Mounts remembers what was mounted where.
type Mounts struct {
	mu    sync.Mutex
	table map[string]entry
}

type entry struct {
	source   string
	readOnly bool
}

// New returns an empty table.
func New() *Mounts { return &Mounts{table: map[string]entry{}} }

// Bind records the mount.
func (m *Mounts) Bind(source *os.File, target string, readOnly bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table[target] = entry{source.Name(), readOnly}
	return os.MkdirAll(target, 0o750)
}

// State looks the target up.
func (m *Mounts) State(source *os.File, target string) (mount.State, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, found := m.table[target]
	switch {
	case !found:
		return mount.Absent, false, nil
	case e.source != source.Name():
		return mount.Foreign, false, nil
	}
	return mount.Mounted, e.readOnly, nil
}

// Unmount forgets the mount.
func (m *Mounts) Unmount(target string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.table, target)
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Targets lists where the source is.
func (m *Mounts) Targets(source *os.File) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var targets []string
	for target, e := range m.table {
		if e.source == source.Name() {
			targets = append(targets, target)
		}
	}
	slices.Sort(targets)
	return targets, nil
}
