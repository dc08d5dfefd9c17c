package credentials

import (
	"fmt"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// Watcher tells that Secrets may have changed.
type Watcher struct {
	watcher *fsnotify.Watcher
	changes chan struct{}
	done    sync.WaitGroup
}

// Watch follows the folders at which Secrets are mounted. The kubelet changes a Secret whole, by one rename in its folder.
func Watch(dirs []string) (*Watcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching Secrets: %w", err)
	}
	for _, dir := range dirs {
		if err := watcher.Add(dir); err != nil {
			_ = watcher.Close()
			return nil, fmt.Errorf("watching the Secret at %s: %w", dir, err)
		}
	}
	w := &Watcher{watcher: watcher, changes: make(chan struct{}, 1)}
	w.done.Go(w.follow)
	return w, nil
}

// Changes receives after a change; many at a time are told once.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Close ends the watch.
func (w *Watcher) Close() error {
	err := w.watcher.Close()
	w.done.Wait()
	return err
}

// follow passes on that there was something. What was lost on the way is a change as well.
func (w *Watcher) follow() {
	for {
		select {
		case _, open := <-w.watcher.Events:
			if !open {
				return
			}
		case _, open := <-w.watcher.Errors:
			if !open {
				return
			}
		}
		select {
		case w.changes <- struct{}{}:
		default:
		}
	}
}
