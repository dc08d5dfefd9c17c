package pool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"
)

// directory is an open directory of a volume. It is read in batches and leads to others one level at a time, so that neither its width nor its depth costs memory, and no path is ever put together.
type directory struct {
	fd   int
	stat unix.Stat_t
	// rest is what has been read and not been looked at, a part of batch.
	rest  []byte
	batch *[batchSize]byte
	// position is where reading goes on behind the last entry that was looked at.
	position int64
}

// batchSize is how many bytes of a directory are read at once: some 250 entries.
const batchSize = 8 << 10

var batches = sync.Pool{New: func() any { return new([batchSize]byte) }}

// entry is a name in a directory; kind is one of unix.DT_*, DT_UNKNOWN on file systems that do not tell.
type entry struct {
	name string
	kind byte
}

// openDirectory opens a directory by its name in another one. It follows no symbolic link and enters no other mount (EXDEV), so that it stays in the volume whatever pods and administrators have made there.
func openDirectory(parent int, name string) (*directory, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	d := &directory{}
	err := again(func() (err error) {
		d.fd, err = unix.Openat2(parent, name, &how)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := again(func() error { return unix.Fstat(d.fd, &d.stat) }); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// openVolume opens a directory by its path in the pool, and fails if that is anything else.
func openVolume(root *os.Root, name string) (*directory, error) {
	parent, err := root.Open(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = parent.Close() }()
	d, err := openDirectory(int(parent.Fd()), path.Base(name))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return d, nil
}

func (d *directory) close() {
	_ = unix.Close(d.fd)
	if d.batch != nil {
		batches.Put(d.batch)
	}
	d.batch, d.rest = nil, nil
}

// next returns the next entry but "." and "..", and false behind the last one. What pods add or remove meanwhile may be seen or not.
func (d *directory) next() (entry, bool, error) {
	for {
		if len(d.rest) == 0 {
			if err := d.read(); err != nil || len(d.rest) == 0 {
				return entry{}, false, err
			}
		}
		// As getdents64(2) writes it: inode, position behind the entry, length, kind, name up to a zero byte.
		const header = 19
		length := 0
		if len(d.rest) > header {
			length = int(binary.NativeEndian.Uint16(d.rest[16:]))
		}
		if length <= header || length > len(d.rest) {
			return entry{}, false, errors.New("the file system returned a directory that cannot be read")
		}
		d.position = int64(binary.NativeEndian.Uint64(d.rest[8:]))
		name, _, _ := bytes.Cut(d.rest[header:length], []byte{0})
		e := entry{name: string(name), kind: d.rest[18]}
		d.rest = d.rest[length:]
		if e.name != "." && e.name != ".." {
			return e, true, nil
		}
	}
}

func (d *directory) read() error {
	if d.batch == nil {
		d.batch = batches.Get().(*[batchSize]byte)
	}
	n := 0
	err := again(func() (err error) {
		n, err = unix.ReadDirent(d.fd, d.batch[:])
		return err
	})
	// A directory that has just been removed has nothing in it.
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("reading a directory: %w", err)
	}
	d.rest = d.batch[:max(0, n)]
	return nil
}

// seek goes on reading at a position that this directory had when it was open before.
func (d *directory) seek(position int64) error {
	if _, err := unix.Seek(d.fd, position, unix.SEEK_SET); err != nil {
		return fmt.Errorf("going on with a directory: %w", err)
	}
	d.rest, d.position = nil, position
	return nil
}

// identity tells a directory from every other one that exists at the same time.
type identity struct{ device, inode uint64 }

func (d *directory) identity() identity { return identity{uint64(d.stat.Dev), d.stat.Ino} }

// again repeats a system call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
