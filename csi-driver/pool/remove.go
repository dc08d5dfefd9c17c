package pool

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// flattenBelow is how many directories are held open one in the other. What lies deeper is moved up to the top of the tree and removed from there.
	flattenBelow = 16
	// deepest is the same where moving up fails, as it can in a file system that is full: what is removed down there makes room.
	deepest = 128
	// removePasses is how often a directory is looked through because something has come into it meanwhile.
	removePasses = 8
)

// removal removes a tree. Whatever the shape of the tree, it needs the same few descriptors, the same memory, also of the kernel, which remembers the way to each directory that is open, and time in proportion
// to the tree. It may be stopped anywhere: what is left lies below the same name, so that the next one goes on with it. It follows no symbolic link and enters no mount.
type removal struct {
	// top is the descriptor of the tree's highest directory, into which directories are moved.
	top int
	// prefix and a number are the name of a moved directory, one that nobody in the volume can have foreseen.
	prefix string
	// moved counts the directories that were moved so far, cleared those of them that have been seen to.
	moved, cleared int
}

// removeTree removes a name in a directory and all below it. A missing one is no error.
func removeTree(parent int, name string) error {
	r := &removal{prefix: rand.Text()}
	return r.remove(parent, entry{name: name}, 0)
}

// remove removes an entry of a directory; depth is the number of directories from the top down to it. It removes what it can also when something in it cannot be removed.
func (r *removal) remove(parent int, e entry, depth int) error {
	gone, err := unlink(parent, e)
	if gone || err != nil {
		return err
	}
	if depth >= flattenBelow {
		err := r.moveUp(parent, e.name)
		if err == nil || depth >= deepest {
			return err
		}
	}
	dir, err := openDirectory(parent, e.name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return refused(e.name, err)
	}
	defer dir.close()
	if depth == 0 {
		r.top = dir.fd
	}
	for range removePasses {
		if err := r.clear(dir, depth); err != nil {
			return err
		}
		if gone, err := unlink(parent, entry{e.name, unix.DT_DIR}); gone || err != nil {
			return err
		}
		if err := dir.seek(0); err != nil {
			return err
		}
	}
	return fmt.Errorf("%q: files are added while they are removed", e.name)
}

func (r *removal) clear(dir *directory, depth int) error {
	var first error
	for {
		e, found, err := dir.next()
		if err != nil {
			return cmp.Or(first, err)
		}
		if !found {
			break
		}
		first = cmp.Or(first, r.remove(dir.fd, e, depth+1))
	}
	for depth == 0 && r.cleared < r.moved {
		e := entry{r.movedName(r.cleared), unix.DT_DIR}
		r.cleared++
		first = cmp.Or(first, r.remove(r.top, e, 1))
	}
	return first
}

// moveUp renames a directory to one in the top directory.
func (r *removal) moveUp(parent int, name string) error {
	err := again(func() error { return unix.Renameat(parent, name, r.top, r.movedName(r.moved)) })
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return refused(name, err)
	}
	r.moved++
	return nil
}

func (r *removal) movedName(number int) string { return r.prefix + "-" + strconv.Itoa(number) }

// unlink removes an entry that is no directory, or an empty one. It is not gone if it is a directory that holds something.
func unlink(parent int, e entry) (gone bool, err error) {
	flags := 0
	if e.kind == unix.DT_DIR {
		flags = unix.AT_REMOVEDIR
	}
	// What was a directory when its name was read may be something else by now, and the other way round.
	for range removePasses {
		err = again(func() error { return unix.Unlinkat(parent, e.name, flags) })
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return true, nil
		case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENOTDIR):
			flags ^= unix.AT_REMOVEDIR
		case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
			return false, nil
		default:
			return false, refused(e.name, err)
		}
	}
	return false, refused(e.name, err)
}

func refused(name string, err error) error {
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("%q: something is mounted on it, unmount that first: %w", name, err)
	}
	return fmt.Errorf("%q: %w", name, err)
}
