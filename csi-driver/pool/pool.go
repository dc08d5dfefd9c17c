// Package pool keeps volumes in the storage pools of one node. A pool is a directory; a volume is a directory in it, with a record of what was promised. Every change survives a crash at any point: the
// record of the intention is written first, the volume appears by one rename, and whoever repeats the request finishes what was begun. All paths are confined to the pool. The package knows nothing of
// CSI, Kubernetes or mounts.
package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// The parts of a pool's directory. Nothing else in it is touched, so that a pool may be the root of a file system.
const (
	dirVolumes  = "volumes"  // one entry for each volume, named by its id
	dirState    = "state"    // one record for each volume
	dirBuilding = "building" // volumes that are not complete yet
	dirTrash    = "trash"    // volumes that are being removed
	fileLock    = "state/lock"
)

// privateDir is the mode of those directories. Pods reach a volume by a mount of it, never through them, so nobody on the node needs to pass.
const privateDir = 0o700

var (
	// ErrNotFound is returned when there is no such volume.
	ErrNotFound = errors.New("volume not found")
	// ErrConflict is returned when a volume of that name exists and is not what is asked for.
	ErrConflict = errors.New("volume exists with other properties")
	// ErrNoSpace is returned when the pool cannot promise that size.
	ErrNoSpace = errors.New("not enough space")
	// ErrShared is returned when the pool takes no new volumes because the node itself uses its file system.
	ErrShared = errors.New("storage pool takes no new volumes")
	// ErrInvalid is returned for a request that no pool could fulfil.
	ErrInvalid = errors.New("invalid request")
	// ErrBusy is returned when another operation on the same volume is running.
	ErrBusy = errors.New("another operation on the volume is running")
	// ErrUnusable is returned when the pool's directory cannot be used now; a later try may find it repaired.
	ErrUnusable = errors.New("storage pool is not usable")
)

var poolName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)

// Spec names a directory of the node as a pool.
type Spec struct {
	Name string
	Path string
}

// ParseSpec reads name=path.
func ParseSpec(text string) (Spec, error) {
	name, path, found := strings.Cut(text, "=")
	if !found {
		return Spec{}, fmt.Errorf("pool %q: must be name=path", text)
	}
	spec := Spec{Name: name, Path: path}
	return spec, spec.validate()
}

func (s Spec) validate() error {
	if !poolName.MatchString(s.Name) {
		return fmt.Errorf("pool %q: name must be 1 to 63 lower-case letters, digits, dots and dashes, and begin and end with a letter or digit", s.Name)
	}
	if !filepath.IsAbs(s.Path) || filepath.Clean(s.Path) != s.Path || s.Path == "/" {
		return fmt.Errorf("pool %q: path %q must be absolute, clean and not the root directory", s.Name, s.Path)
	}
	return nil
}

// Pool is one directory. Its records are in memory as well; the files are read once, when it is opened.
type Pool struct {
	Spec
	backend backend

	mu      sync.Mutex
	root    *os.Root // nil until the directory could be opened
	files   files
	lock    *os.File
	volumes map[string]*record
	usage   map[string]*measurement

	// turns holds one for each measurement that runs, measuring counts their goroutines.
	turns       chan struct{}
	measuring   sync.WaitGroup
	measureTime time.Duration
}

func newPool(spec Spec) *Pool {
	return &Pool{
		Spec: spec, backend: directories{}, volumes: map[string]*record{}, usage: map[string]*measurement{},
		turns: make(chan struct{}, measureAtOnce), measureTime: measureTime,
	}
}

// open makes the pool's directories and reads its records, once. A directory that cannot be used now is tried again with the next request.
func (p *Pool) open(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.root != nil {
		return nil
	}
	if err := p.openLocked(ctx); err != nil {
		return fmt.Errorf("%w: pool %q: %w", ErrUnusable, p.Name, err)
	}
	return nil
}

func (p *Pool) openLocked(ctx context.Context) error {
	if err := os.MkdirAll(p.Path, privateDir); err != nil {
		return err
	}
	root, err := os.OpenRoot(p.Path)
	if err != nil {
		return err
	}
	files := rooted{root}
	lock, err := prepare(root)
	if err == nil {
		err = p.load(ctx, files)
	}
	if err != nil {
		if lock != nil {
			_ = lock.Close()
		}
		_ = root.Close()
		return err
	}
	p.root, p.lock = root, lock
	if p.files == nil {
		p.files = files
	}
	return nil
}

// prepare makes the pool's parts and takes its lock, which keeps two drivers from promising the same space while one replaces the other.
func prepare(root *os.Root) (*os.File, error) {
	for _, dir := range []string{dirVolumes, dirState, dirBuilding, dirTrash} {
		if err := root.Mkdir(dir, privateDir); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	lock, err := root.OpenFile(fileLock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("locking %s (does another hostpath driver use the pool?): %w", fileLock, err)
	}
	return lock, nil
}

func (p *Pool) load(ctx context.Context, files files) error {
	names, err := files.List(dirState)
	if err != nil {
		return err
	}
	volumes := map[string]*record{}
	for _, name := range names {
		id, isRecord := strings.CutSuffix(name, recordSuffix)
		if !isRecord {
			continue
		}
		r, err := readRecord(files, id)
		if errors.Is(err, errNewerRecord) {
			return err
		}
		if err != nil {
			// The volume itself may be well: below it is taken over without its record.
			klog.FromContext(ctx).Error(err, "Could not read the record of a volume", "pool", p.Name, "volume", id)
			continue
		}
		volumes[id] = r
	}
	names, err = files.List(dirVolumes)
	if err != nil {
		return err
	}
	for _, id := range names {
		if volumes[id] == nil && validID(id) {
			volumes[id] = &record{Version: recordVersion, ID: id, Name: id, Mode: Filesystem, Phase: phaseReady, Published: true, Created: time.Now().UTC()}
			klog.FromContext(ctx).Info("Took over a volume without a record, its size is unknown", "pool", p.Name, "volume", id)
		}
	}
	p.volumes = volumes
	return nil
}

// Close gives the pool free for another driver, after its measurements have ended.
func (p *Pool) Close() error {
	p.mu.Lock()
	root, lock := p.root, p.lock
	p.root, p.lock, p.files = nil, nil, nil
	for id := range p.usage {
		p.stopMeasuringLocked(id)
	}
	p.mu.Unlock()
	p.measuring.Wait()
	if root == nil {
		return nil
	}
	return errors.Join(lock.Close(), root.Close())
}

func (p *Pool) get(id string) (record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, found := p.volumes[id]
	if !found {
		return record{}, false
	}
	return *r, true
}

// update changes a record in memory and on disk; the caller holds the volume's lock.
func (p *Pool) update(r record) error {
	if err := r.write(p.files); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.volumes[r.ID] = &r
	return nil
}
