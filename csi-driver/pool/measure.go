package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// openAtOnce is how many directories a measurement holds open, whatever the depth.
	openAtOnce = 16
	// maxDepth is how many directories below each other are looked into. A path has at most 4,096 bytes, so whatever programs reach by a path lies above that.
	maxDepth = 2048
	// measureAttempts is how often a measurement begins anew because directories were moved under it.
	measureAttempts = 3
	// blockSize is the unit in which stat counts, on every file system.
	blockSize = 512
)

// ErrTooDeep is returned when the directories of a volume are nested too deep to be measured.
var ErrTooDeep = fmt.Errorf("its directories are nested more than %d deep; what it holds is not known until they are removed or moved up", maxDepth)

// errMoved says that the way back from a directory leads to another one than it came from.
var errMoved = errors.New("its directories were moved while it was measured")

// Measure counts the whole tree, in time that is proportional to it.
func (directories) Measure(ctx context.Context, root *os.Root, name string) (Usage, error) {
	for attempt := 1; ; attempt++ {
		usage, err := measureOnce(ctx, root, name)
		if !errors.Is(err, errMoved) || attempt == measureAttempts {
			return usage, err
		}
	}
}

func measureOnce(ctx context.Context, root *os.Root, name string) (Usage, error) {
	top, err := openVolume(root, name)
	if err != nil {
		return Usage{}, err
	}
	w := &walk{}
	defer w.close()
	w.enter(top)
	for len(w.levels) > 0 {
		if ctx.Err() != nil {
			return Usage{}, context.Cause(ctx)
		}
		dir := w.levels[len(w.levels)-1].dir
		e, found, err := dir.next()
		switch {
		case err != nil:
		case found:
			err = w.visit(dir, e)
		default:
			err = w.leave()
		}
		if err != nil {
			return Usage{}, err
		}
	}
	return w.total.usage(), nil
}

// walk is a way down a tree. Of the directories on it only the lowest ones are open.
type walk struct {
	levels []level
	total  total
}

type level struct {
	// dir is nil while the directory is closed; then the others say which one it was, and where reading goes on.
	dir      *directory
	identity identity
	position int64
}

func (w *walk) visit(dir *directory, e entry) error {
	if e.kind != unix.DT_DIR {
		var stat unix.Stat_t
		err := again(func() error {
			return unix.Fstatat(dir.fd, e.name, &stat, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
		})
		if errors.Is(err, unix.ENOENT) {
			// Pods make and remove files while we look: what has just gone is no error.
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking at %q: %w", e.name, err)
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			w.total.add(stat)
			return nil
		}
	}
	sub, err := openDirectory(dir.fd, e.name)
	switch {
	// Gone, or something else by now; or another file system, which is not the volume's.
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return nil
	case err != nil:
		return fmt.Errorf("opening directory %q: %w", e.name, err)
	case len(w.levels) > maxDepth:
		sub.close()
		return ErrTooDeep
	}
	w.enter(sub)
	return nil
}

func (w *walk) enter(dir *directory) {
	w.total.add(dir.stat)
	w.levels = append(w.levels, level{dir: dir, identity: dir.identity()})
	if above := len(w.levels) - 1 - openAtOnce; above >= 0 && w.levels[above].dir != nil {
		l := &w.levels[above]
		l.position = l.dir.position
		l.dir.close()
		l.dir = nil
	}
}

// leave goes back to the directory above. Where that was closed, "..", which pods can make lead elsewhere by moving directories, is followed only to the very directory that the walk came from.
func (w *walk) leave() error {
	below := w.levels[len(w.levels)-1].dir
	if len(w.levels) > 1 {
		above := &w.levels[len(w.levels)-2]
		if above.dir == nil {
			dir, err := openDirectory(below.fd, "..")
			switch {
			case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EXDEV):
				return errMoved
			case err != nil:
				return fmt.Errorf("going back from a directory: %w", err)
			case dir.identity() != above.identity:
				dir.close()
				return errMoved
			}
			above.dir = dir
			if err := dir.seek(above.position); err != nil {
				return err
			}
		}
	}
	below.close()
	w.levels = w.levels[:len(w.levels)-1]
	return nil
}

func (w *walk) close() {
	for _, l := range w.levels {
		if l.dir != nil {
			l.dir.close()
		}
	}
}

// total adds up. A file with several names counts for each by its part, which makes one of it without a memory of the names: all of them are in the volume, since a link cannot leave a mount.
type total struct {
	Usage
	linkedBytes, linkedInodes float64
}

func (t *total) add(stat unix.Stat_t) {
	if names := float64(stat.Nlink); names > 1 && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.linkedBytes += float64(stat.Blocks*blockSize) / names
		t.linkedInodes += 1 / names
		return
	}
	t.Bytes += stat.Blocks * blockSize
	t.Inodes++
}

func (t *total) usage() Usage {
	return Usage{Bytes: t.Bytes + int64(math.Round(t.linkedBytes/blockSize))*blockSize, Inodes: t.Inodes + int64(math.Round(t.linkedInodes))}
}
