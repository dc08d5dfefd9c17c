package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// Watcher tells when something changes in the volume of sockets of a pod: the volume comes, a socket in it comes or goes,
// the pod goes. It follows the directories down from the kubelet's pods directory as the kubelet makes them, and polls
// nothing. One inotify instance serves all pods, for a user has few.
type Watcher struct {
	dir     string
	watcher *fsnotify.Watcher

	mu   sync.Mutex
	pods map[types.UID]*watched
}

type watched struct {
	// at is the deepest of the pod's directories that is there and watched; empty: only the pods directory is.
	at     string
	notify func()
}

// NewWatcher watches pods below the kubelet's pods directory.
func NewWatcher(dir string) (*Watcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching pods (is fs.inotify.max_user_instances exhausted?): %w", err)
	}
	if err := watcher.Add(dir); err != nil {
		_ = watcher.Close()
		return nil, fmt.Errorf("watching the pods directory %s: %w", dir, err)
	}
	return &Watcher{dir: dir, watcher: watcher, pods: map[types.UID]*watched{}}, nil
}

// Add has notify called for each change in that pod until Remove; it must return at once. A second Add of the same pod
// changes only what is called.
func (w *Watcher) Add(pod types.UID, notify func()) error {
	if !podUID.MatchString(string(pod)) {
		return fmt.Errorf("%w: %q is no uid of a pod", ErrUntrusted, pod)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.pods[pod]; ok {
		known.notify = notify
		return nil
	}
	w.pods[pod] = &watched{notify: notify}
	w.descend(pod, w.pods[pod])
	return nil
}

// Remove ends the watch of a pod.
func (w *Watcher) Remove(pod types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.pods[pod]; ok {
		if known.at != "" {
			_ = w.watcher.Remove(known.at)
		}
		delete(w.pods, pod)
	}
}

// chain lists the directories from the pod's own down to its volume of sockets.
func (w *Watcher) chain(pod types.UID) []string {
	var dirs []string
	for dir := socketsDir(pod); dir != "."; dir = path.Dir(dir) {
		dirs = append([]string{filepath.Join(w.dir, dir)}, dirs...)
	}
	return dirs
}

// descend moves the watch to the deepest directory that is there. After each step it looks again, because the next
// directory may have come before the watch of its parent.
func (w *Watcher) descend(pod types.UID, state *watched) {
	for {
		deepest := ""
		for _, dir := range w.chain(pod) {
			if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
				break
			}
			deepest = dir
		}
		if deepest == state.at {
			return
		}
		if deepest != "" {
			if err := w.watcher.Add(deepest); err != nil {
				continue // it went away again
			}
		}
		if state.at != "" {
			_ = w.watcher.Remove(state.at)
		}
		state.at = deepest
	}
}

// Run tells of changes until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	defer func() { _ = w.watcher.Close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-w.watcher.Events:
			if !ok {
				return
			}
			w.handle(event.Name)
		case err, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				klog.FromContext(ctx).Error(err, "Could not watch pods")
			}
			w.handle("") // events were lost: anything may have changed
		}
	}
}

func (w *Watcher) handle(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for pod, state := range w.pods {
		own := filepath.Join(w.dir, string(pod))
		if name != "" && name != own && !strings.HasPrefix(name, own+"/") {
			continue
		}
		if name == state.at {
			state.at = "" // an event of the watched directory itself: it may be gone, and its watch with it
		}
		w.descend(pod, state)
		state.notify()
	}
}
