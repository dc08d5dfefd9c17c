package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// sizeUnit is what sizes are rounded up to.
const sizeUnit = 4096

// Volume is what a caller may know of a volume.
type Volume struct {
	ID   string
	Name string
	Pool string
	Mode Mode
	// Size is what was promised, 0 when that is not known.
	Size    int64
	Created time.Time
	// Published says whether any pod has ever had it.
	Published bool
	// Ready is false while it is being made or removed.
	Ready bool
}

// CreateRequest says what volume is wanted.
type CreateRequest struct {
	Name string
	Pool string
	// MinSize and MaxSize bound the size, 0 for no bound.
	MinSize int64
	MaxSize int64
}

// defaultSize is given to a request that names none.
const defaultSize = 1 << 30

// Pools are all pools of the node.
type Pools struct {
	byName            map[string]*Pool
	order             []*Pool
	overcommitPercent int64
	locks             keyLocks
	// shares says which part of the node uses the file system of a pool; nil if nobody wants to know.
	shares func(ctx context.Context, pool Spec) (user string, err error)
}

// New describes the pools; the first one is the default. Their directories are opened when they are first needed.
func New(specs []Spec, overcommitPercent int) (*Pools, error) {
	if len(specs) == 0 {
		return nil, errors.New("no pool is configured, give at least one as name=path")
	}
	if overcommitPercent < 100 {
		return nil, fmt.Errorf("overcommit of %d percent: must be at least 100, which promises no more than there is", overcommitPercent)
	}
	p := &Pools{byName: map[string]*Pool{}, overcommitPercent: int64(overcommitPercent)}
	for _, spec := range specs {
		if err := spec.validate(); err != nil {
			return nil, err
		}
		for _, other := range p.order {
			if other.Name == spec.Name || other.Path == spec.Path {
				return nil, fmt.Errorf("pool %q: name or path is that of pool %q", spec.Name, other.Name)
			}
		}
		one := newPool(spec)
		p.byName[spec.Name] = one
		p.order = append(p.order, one)
	}
	return p, nil
}

// KeepOff has pools take no new volumes while shares names a part of the node that uses their file system: what a volume holds is not limited, and would leave that without space. The volumes that are there stay
// usable. It is called before all else.
func (p *Pools) KeepOff(shares func(ctx context.Context, pool Spec) (user string, err error)) {
	p.shares = shares
}

// Accepts fails with ErrShared if a pool takes no new volumes, and with ErrUnusable if it cannot be used.
func (p *Pools) Accepts(ctx context.Context, name string) error {
	one, err := p.pool(ctx, name)
	if err != nil {
		return err
	}
	return p.accepts(ctx, one)
}

func (p *Pools) accepts(ctx context.Context, one *Pool) error {
	if p.shares == nil {
		return nil
	}
	user, err := p.shares(ctx, one.Spec)
	if err != nil {
		return fmt.Errorf("%w: pool %q: looking who else uses its file system: %w", ErrUnusable, one.Name, err)
	}
	if user != "" {
		return fmt.Errorf("%w: pool %q, directory %s, lies on the file system of %s, which its volumes could fill; give the pool a file system of its own, or start hostpath-csi with --allow-root-filesystem",
			ErrShared, one.Name, one.Path, user)
	}
	return nil
}

// Close gives all pools free.
func (p *Pools) Close() error {
	var errs []error
	for _, one := range p.order {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// Specs are the pools in the order of their configuration.
func (p *Pools) Specs() []Spec {
	var specs []Spec
	for _, one := range p.order {
		specs = append(specs, one.Spec)
	}
	return specs
}

// Open opens the pools that are not open yet, and returns what hinders the others.
func (p *Pools) Open(ctx context.Context) error {
	var errs []error
	for _, one := range p.order {
		errs = append(errs, one.open(ctx))
	}
	return errors.Join(errs...)
}

// pool returns an open pool, the default one for an empty name.
func (p *Pools) pool(ctx context.Context, name string) (*Pool, error) {
	one := p.order[0]
	if name != "" {
		one = p.byName[name]
	}
	if one == nil {
		return nil, fmt.Errorf("%w: there is no storage pool %q on this node", ErrInvalid, name)
	}
	return one, one.open(ctx)
}

// find returns the pool that holds a volume. A pool that cannot be opened might: then nobody can say that the volume does not exist.
func (p *Pools) find(ctx context.Context, id string) (*Pool, record, error) {
	var unusable []error
	for _, one := range p.order {
		if err := one.open(ctx); err != nil {
			unusable = append(unusable, err)
			continue
		}
		if r, found := one.get(id); found {
			return one, r, nil
		}
	}
	if err := errors.Join(unusable...); err != nil {
		return nil, record{}, err
	}
	return nil, record{}, fmt.Errorf("%w: %q", ErrNotFound, id)
}

// Lock keeps other callers off a volume until the returned function is called. It does not wait.
func (p *Pools) Lock(id string) (unlock func(), err error) {
	if !p.locks.tryLock(id) {
		return nil, fmt.Errorf("%w: %q", ErrBusy, id)
	}
	return func() { p.locks.unlock(id) }, nil
}

// Create makes a volume, or finishes one that was begun, or returns the one that is there. The caller holds the lock of VolumeID(request.Name).
func (p *Pools) Create(ctx context.Context, request CreateRequest) (Volume, error) {
	size, err := chooseSize(request)
	if err != nil {
		return Volume{}, err
	}
	one, err := p.pool(ctx, request.Pool)
	if err != nil {
		return Volume{}, err
	}
	id := VolumeID(request.Name)
	holder, r, err := p.find(ctx, id)
	switch {
	// Another pool that cannot be used now does not keep this one from working.
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrUnusable):
	case err != nil:
		return Volume{}, err
	case holder != one:
		return Volume{}, fmt.Errorf("%w: %q is in pool %q, not in %q", ErrConflict, id, holder.Name, one.Name)
	case r.Phase == phaseDeleting:
		if err := one.remove(ctx, r); err != nil {
			return Volume{}, err
		}
	default:
		if err := sameAs(r, request); err != nil {
			return Volume{}, err
		}
		return one.finish(r)
	}
	if err := p.accepts(ctx, one); err != nil {
		return Volume{}, err
	}
	r = record{Version: recordVersion, ID: id, Name: request.Name, Mode: Filesystem, Size: size, Phase: phaseCreating, Created: time.Now().UTC().Truncate(time.Second)}
	if err := p.promise(one, r); err != nil {
		return Volume{}, err
	}
	return one.finish(r)
}

func chooseSize(request CreateRequest) (int64, error) {
	if request.MinSize < 0 || request.MaxSize < 0 {
		return 0, fmt.Errorf("%w: a size must not be negative", ErrInvalid)
	}
	size := request.MinSize
	if size == 0 {
		size = defaultSize
		if request.MaxSize > 0 {
			size = min(size, request.MaxSize)
		}
	}
	const largest = int64(1) << 62
	if size > largest {
		return 0, fmt.Errorf("%w: %d bytes are more than any file system has", ErrNoSpace, size)
	}
	if rounded := (size + sizeUnit - 1) / sizeUnit * sizeUnit; request.MaxSize == 0 || rounded <= request.MaxSize {
		size = rounded
	}
	if request.MaxSize > 0 && size > request.MaxSize {
		return 0, fmt.Errorf("%w: at least %d bytes are required but at most %d allowed", ErrInvalid, request.MinSize, request.MaxSize)
	}
	return size, nil
}

func sameAs(r record, request CreateRequest) error {
	switch {
	case r.Name != request.Name:
		return fmt.Errorf("%w: id %q belongs to the volume named %q", ErrConflict, r.ID, r.Name)
	case r.Size < request.MinSize || request.MaxSize > 0 && r.Size > request.MaxSize:
		return fmt.Errorf("%w: %q has %d bytes, asked for were at least %d and at most %d", ErrConflict, r.ID, r.Size, request.MinSize, request.MaxSize)
	}
	return nil
}

// promise books the size of a new volume, in one step with finding out that there is room for it, so that two callers cannot get the same space.
func (p *Pools) promise(one *Pool, r record) error {
	one.mu.Lock()
	capacity, err := one.capacityLocked(p.overcommitPercent)
	if err == nil && r.Size > capacity.Available {
		err = fmt.Errorf("%w: pool %q can promise %d more bytes, %d were asked for", ErrNoSpace, one.Name, capacity.Available, r.Size)
	}
	if err == nil {
		one.volumes[r.ID] = &r
	}
	one.mu.Unlock()
	if err != nil {
		return err
	}
	if err := one.update(r); err != nil {
		one.forget(r.ID)
		return err
	}
	return nil
}

// finish brings a volume from whatever a crash left to ready.
func (p *Pool) finish(r record) (Volume, error) {
	if r.Phase == phaseReady {
		return p.volume(r), nil
	}
	final := dirVolumes + "/" + r.ID
	made, err := p.files.Exists(final)
	if err != nil {
		return Volume{}, fmt.Errorf("making volume %q: %w", r.ID, err)
	}
	if !made {
		building := dirBuilding + "/" + r.ID
		err := p.files.RemoveAll(building)
		if err == nil {
			err = p.backend.Make(p.files, building, r.Size)
		}
		if err == nil {
			err = p.files.Rename(building, final)
		}
		if err != nil {
			return Volume{}, fmt.Errorf("making volume %q: %w", r.ID, err)
		}
	}
	r.Phase = phaseReady
	if err := p.update(r); err != nil {
		return Volume{}, err
	}
	return p.volume(r), nil
}

// Delete removes a volume and its content. A volume that is not there is no error. The caller holds the volume's lock and knows that nobody uses it.
func (p *Pools) Delete(ctx context.Context, id string) error {
	one, r, err := p.find(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return one.remove(ctx, r)
}

// remove moves the volume out of sight first: a crash in the middle of removing its content must not leave half of it where a pod could mount it.
func (p *Pool) remove(ctx context.Context, r record) error {
	wrap := func(err error) error { return fmt.Errorf("removing volume %q: %w", r.ID, err) }
	p.stopMeasuring(r.ID)
	if r.Phase != phaseDeleting {
		r.Phase = phaseDeleting
		if err := p.update(r); err != nil {
			return wrap(err)
		}
	}
	trash, final := dirTrash+"/"+r.ID, dirVolumes+"/"+r.ID
	if err := p.files.RemoveAll(trash); err != nil {
		return wrap(err)
	}
	made, err := p.files.Exists(final)
	if err == nil && made {
		err = p.files.Rename(final, trash)
	}
	for _, name := range []string{trash, dirBuilding + "/" + r.ID, recordFile(r.ID)} {
		if err == nil {
			err = p.files.RemoveAll(name)
		}
	}
	if err != nil {
		return wrap(err)
	}
	p.forget(r.ID)
	klog.FromContext(ctx).V(2).Info("Removed volume", "pool", p.Name, "volume", r.ID)
	return nil
}

func (p *Pool) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.volumes, id)
	p.stopMeasuringLocked(id)
	delete(p.usage, id)
}

// Recover finishes removals that a crash interrupted, and clears away what no volume owns. It skips what is being worked on.
func (p *Pools) Recover(ctx context.Context) error {
	var errs []error
	for _, one := range p.order {
		if err := one.open(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, p.recover(ctx, one))
	}
	return errors.Join(errs...)
}

func (p *Pools) recover(ctx context.Context, one *Pool) error {
	var errs []error
	for _, r := range one.records() {
		if r.Phase != phaseDeleting || !p.locks.tryLock(r.ID) {
			continue
		}
		if now, found := one.get(r.ID); found && now.Phase == phaseDeleting {
			errs = append(errs, one.remove(ctx, now))
		}
		p.locks.unlock(r.ID)
	}
	for _, leftover := range []struct{ dir, prefix, suffix string }{{dirTrash, "", ""}, {dirBuilding, "", ""}, {dirState, ".", tempSuffix}} {
		names, err := one.files.List(leftover.dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, name := range names {
			id := strings.TrimSuffix(strings.TrimPrefix(name, leftover.prefix), leftover.suffix)
			if name != leftover.prefix+id+leftover.suffix || !p.locks.tryLock(id) {
				continue
			}
			if _, owned := one.get(id); !owned {
				errs = append(errs, one.files.RemoveAll(leftover.dir+"/"+name))
			}
			p.locks.unlock(id)
		}
	}
	return errors.Join(errs...)
}

// Get returns a volume.
func (p *Pools) Get(ctx context.Context, id string) (Volume, error) {
	one, r, err := p.find(ctx, id)
	if err != nil {
		return Volume{}, err
	}
	return one.volume(r), nil
}

// List returns the volumes of all pools that can be used, ordered by id.
func (p *Pools) List(ctx context.Context) []Volume {
	var all []Volume
	for _, one := range p.order {
		if err := one.open(ctx); err != nil {
			klog.FromContext(ctx).Error(err, "Listed volumes without those of a pool", "pool", one.Name)
			continue
		}
		for _, r := range one.records() {
			all = append(all, one.volume(r))
		}
	}
	slices.SortFunc(all, func(a, b Volume) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// MarkPublished records that a pod gets the volume. The caller holds the volume's lock.
func (p *Pools) MarkPublished(ctx context.Context, id string) error {
	one, r, err := p.find(ctx, id)
	if err != nil || r.Published {
		return err
	}
	r.Published = true
	return one.update(r)
}

// OpenContent opens what the volume consists of, to be mounted.
func (p *Pools) OpenContent(ctx context.Context, id string) (*os.File, error) {
	one, r, err := p.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.Phase != phaseReady {
		return nil, fmt.Errorf("%w: %q is %s", ErrNotFound, id, r.Phase)
	}
	name := dirVolumes + "/" + id
	info, err := one.root.Lstat(name)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", name)
	}
	var content *os.File
	if err == nil {
		content, err = one.root.Open(name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: content of volume %q in pool %q: %w", ErrUnusable, id, one.Name, err)
	}
	return content, nil
}

func (p *Pool) records() []record {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]record, 0, len(p.volumes))
	for _, r := range p.volumes {
		all = append(all, *r)
	}
	return all
}

func (p *Pool) volume(r record) Volume {
	return Volume{ID: r.ID, Name: r.Name, Pool: p.Name, Mode: r.Mode, Size: r.Size, Created: r.Created, Published: r.Published, Ready: r.Phase == phaseReady}
}

// keyLocks are locks by name that nobody waits for.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]bool
}

func (l *keyLocks) tryLock(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[key] {
		return false
	}
	if l.held == nil {
		l.held = map[string]bool{}
	}
	l.held[key] = true
	return true
}

func (l *keyLocks) unlock(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, key)
}
