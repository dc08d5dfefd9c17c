package pods

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/virtplane/virtplane/pkg/machine"
)

// kubeletPods is where the kubelet of a node keeps the volumes of its pods.
const kubeletPods = "/var/lib/kubelet/pods"

// emptyDirs is where the emptyDir volumes of one pod are, below its own folder.
const emptyDirs = "volumes/kubernetes.io~empty-dir"

// Dial waits until a pod's QEMU listens on its serial socket, and connects. root is the node's root directory as the host
// sees it.
func Dial(ctx context.Context, root, podUID string) (net.Conn, error) {
	return dial(ctx, filepath.Join(root, kubeletPods), filepath.Join(podUID, emptyDirs, machine.SocketsVolume, machine.SerialSocket))
}

func dial(ctx context.Context, base, path string) (net.Conn, error) {
	if err := waitPath(ctx, base, path); err != nil {
		return nil, err
	}
	// The path is longer than an address may be.
	dir, err := unix.Open(filepath.Join(base, filepath.Dir(path)), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of %s: %w", path, err)
	}
	defer unix.Close(dir)
	address := fmt.Sprintf("/proc/self/fd/%d/%s", dir, filepath.Base(path))
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			return nil, fmt.Errorf("connecting to %s: %w", path, err)
		}
		// The socket has its name, and in a moment someone listens.
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to %s: %w", path, context.Cause(ctx))
		case <-time.After(time.Millisecond):
		}
	}
}

// waitPath waits until a path exists below a folder that does.
func waitPath(ctx context.Context, base, path string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watching files: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	dir := base
	for name := range strings.SplitSeq(path, "/") {
		if err := waitEntry(ctx, events, fd, dir, name); err != nil {
			return fmt.Errorf("waiting for %s: %w", path, err)
		}
		dir = filepath.Join(dir, name)
	}
	return nil
}

func waitEntry(ctx context.Context, events *os.File, fd int, dir, name string) error {
	// Watched first and looked at afterwards: what is made in between is not missed.
	watch, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_ONLYDIR)
	if err != nil {
		return fmt.Errorf("watching %s: %w", dir, err)
	}
	defer func() { _, _ = unix.InotifyRmWatch(fd, uint32(watch)) }() // a folder that is gone took it along
	buffer := make([]byte, 16<<10)
	for {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := os.Lstat(dir); err != nil {
			return err
		}
		if _, err := events.Read(buffer); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
	}
}
