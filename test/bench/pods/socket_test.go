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
	"testing"
	"time"
)

const waitLimit = 10 * time.Second

func TestDial(t *testing.T) {
	base := t.TempDir()
	const path = "a-uid-that-is-as-long-as-those-of-pods-0123456789/volumes/kubernetes.io~empty-dir/sockets/serial"
	made := make(chan error, 1)
	go func() {
		// One folder at a time, as the kubelet makes them, and beside it others.
		dir := base
		for name := range strings.SplitSeq(filepath.Dir(path), "/") {
			time.Sleep(5 * time.Millisecond)
			if err := os.Mkdir(filepath.Join(dir, "other-"+name), 0o755); err != nil {
				made <- err
				return
			}
			dir = filepath.Join(dir, name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				made <- err
				return
			}
		}
		d, err := os.Open(dir)
		if err != nil {
			made <- err
			return
		}
		defer d.Close()
		time.Sleep(5 * time.Millisecond)
		listener, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/serial", d.Fd()))
		if err != nil {
			made <- err
			return
		}
		defer listener.Close()
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Write([]byte("hello"))
			conn.Close()
		}
		made <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	conn, err := dial(ctx, base, path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 16)
	n, err := conn.Read(buffer)
	if got := string(buffer[:n]); err != nil || got != "hello" {
		t.Errorf("read %q, %v, want hello", got, err)
	}
	if err := <-made; err != nil {
		t.Error(err)
	}
}

func TestWaitPath(t *testing.T) {
	t.Run("there already", func(t *testing.T) {
		base := t.TempDir()
		if err := os.MkdirAll(filepath.Join(base, "a", "b"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := waitPath(t.Context(), base, "a/b"); err != nil {
			t.Error(err)
		}
	})
	t.Run("never", func(t *testing.T) {
		late := errors.New("too late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, late)
		defer cancel()
		if err := waitPath(ctx, t.TempDir(), "a"); !errors.Is(err, late) {
			t.Errorf("error %v, want %v", err, late)
		}
	})
	t.Run("folder goes away", func(t *testing.T) {
		base := t.TempDir()
		pod := filepath.Join(base, "pod")
		if err := os.Mkdir(pod, 0o755); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { _ = os.Remove(pod) })
		ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
		defer cancel()
		if err := waitPath(ctx, base, "pod/socket"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v, want %v", err, fs.ErrNotExist)
		}
	})
	t.Run("no base", func(t *testing.T) {
		if err := waitPath(t.Context(), filepath.Join(t.TempDir(), "absent"), "a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v, want %v", err, fs.ErrNotExist)
		}
	})
}
