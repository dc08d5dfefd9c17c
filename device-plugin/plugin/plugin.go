package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/klog/v2"
)

const (
	kubeletSocket = "kubelet.sock"

	firstRetry   = 500 * time.Millisecond
	lastRetry    = 30 * time.Second
	defaultQuiet = 250 * time.Millisecond
)

// Config says where a Plugin finds what it needs.
type Config struct {
	// Dir is the kubelet's directory of device plugins.
	Dir string
	// DevRoot and SysRoot are the machine's /dev and /sys.
	DevRoot, SysRoot string
	// Devices are what is offered.
	Devices []Device
	// Count is the number of virtual devices of each resource.
	Count int
	// Judge, if set, is called at the start and whenever a device node has come or gone; missing says why it is not
	// there. An error keeps the device back, with quantity 0. It may take its time: other resources do not wait for it.
	Judge func(ctx context.Context, resource string, missing error) error
	// Quiet is for how long nothing must have happened in the kubelet's directory before a resource is registered anew; 0 means
	// a quarter of a second. A kubelet that starts first removes the sockets and then makes its own, and two registrations at
	// once can make it lose track of both.
	Quiet time.Duration
}

// Plugin offers all devices of its Config. Make one by New.
type Plugin struct {
	config    Config
	resources []*resource
	watcher   *fsnotify.Watcher

	mu         sync.Mutex
	count      int
	registered map[string]bool
}

// New prepares a Plugin; Run starts it.
func New(config Config) (*Plugin, error) {
	if config.Count < 0 {
		return nil, fmt.Errorf("count: %d devices cannot be offered; say 0 or more", config.Count)
	}
	if config.Quiet == 0 {
		config.Quiet = defaultQuiet
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching directories (is fs.inotify.max_user_instances exhausted?): %w", err)
	}
	p := &Plugin{config: config, watcher: watcher, count: config.Count, registered: map[string]bool{}}
	for _, device := range config.Devices {
		p.resources = append(p.resources, newResource(device))
	}
	return p, nil
}

// SetCount changes the number of virtual devices of each resource.
func (p *Plugin) SetCount(count int) {
	p.mu.Lock()
	p.count = max(count, 0)
	p.mu.Unlock()
	for _, r := range p.resources {
		_, _, missing := r.offered()
		r.update(max(count, 0), missing)
	}
}

// Registered says which resource the kubelet has not accepted yet; nil: it has all.
func (p *Plugin) Registered() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.resources {
		if !p.registered[r.device.Resource] {
			return fmt.Errorf("%s is not registered with the kubelet at %s", r.device.Resource, filepath.Join(p.config.Dir, kubeletSocket))
		}
	}
	return nil
}

// Run offers the devices until ctx ends. It registers anew whenever the kubelet has made its socket anew, for then it
// has forgotten all plugins and removed their sockets.
func (p *Plugin) Run(ctx context.Context) error {
	defer func() { _ = p.watcher.Close() }()
	if err := p.watcher.Add(p.config.Dir); err != nil {
		return fmt.Errorf("watching the kubelet's directory %s: %w", p.config.Dir, err)
	}
	dirs := map[string]bool{p.config.DevRoot: true}
	for _, r := range p.resources {
		dirs[filepath.Dir(filepath.Join(p.config.DevRoot, r.device.Node))] = true
	}
	p.watch(dirs)

	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loops := map[*resource]*signals{}
	for _, r := range p.resources {
		s := &signals{look: make(chan struct{}, 1), register: make(chan struct{}, 1)}
		loops[r] = s
		wg.Go(func() { p.loop(ctx, r, s) })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-p.watcher.Errors:
			// Events may be lost; looking again at everything costs little.
			klog.FromContext(ctx).Error(err, "Could not watch device directories")
			for _, s := range loops {
				poke(s.look)
				poke(s.register)
			}
		case event := <-p.watcher.Events:
			p.dispatch(event, dirs, loops)
		}
	}
}

// signals wakes the loop of one resource.
type signals struct{ look, register chan struct{} }

func (p *Plugin) dispatch(event fsnotify.Event, dirs map[string]bool, loops map[*resource]*signals) {
	kubeletCame := event.Name == filepath.Join(p.config.Dir, kubeletSocket) && event.Has(fsnotify.Create)
	dirCame := dirs[event.Name] && event.Has(fsnotify.Create)
	if dirCame {
		p.watch(map[string]bool{event.Name: true})
	}
	for r, s := range loops {
		if event.Name == filepath.Join(p.config.DevRoot, r.device.Node) || dirCame {
			poke(s.look)
		}
		if kubeletCame || event.Name == filepath.Join(p.config.Dir, r.endpoint()) && event.Has(fsnotify.Remove) {
			poke(s.register)
		}
	}
}

// watch adds those of the directories that are there; the others' parents are watched.
func (p *Plugin) watch(dirs map[string]bool) {
	for dir := range dirs {
		_ = p.watcher.Add(dir)
	}
}

// loop keeps one resource registered and its list true.
func (p *Plugin) loop(ctx context.Context, r *resource, s *signals) {
	p.look(ctx, r)
	var wg sync.WaitGroup
	defer wg.Wait()
	start := func() context.CancelFunc {
		serveCtx, stop := context.WithCancel(ctx)
		wg.Go(func() { p.keepServing(serveCtx, r) })
		return stop
	}
	stop := start()
	for {
		select {
		case <-ctx.Done():
			stop()
			return
		case <-s.look:
			p.look(ctx, r)
		case <-s.register:
			p.settle(ctx, s.register)
			stop()
			wg.Wait()
			stop = start()
		}
	}
}

// settle waits until no signal has come for a while, at most for ten times as long.
func (p *Plugin) settle(ctx context.Context, signals <-chan struct{}) {
	for range 10 {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		case <-time.After(p.config.Quiet):
			return
		}
	}
}

// keepServing repeats serve until ctx ends.
func (p *Plugin) keepServing(ctx context.Context, r *resource) {
	wait := firstRetry
	for ctx.Err() == nil {
		err := r.serve(ctx, p.config.Dir, func() {
			p.setRegistered(r, true)
			wait = firstRetry
		})
		p.setRegistered(r, false)
		if ctx.Err() != nil {
			return
		}
		klog.FromContext(ctx).Error(err, "Could not offer devices, trying again", "resource", r.device.Resource, "wait", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
}

func (p *Plugin) setRegistered(r *resource, to bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registered[r.device.Resource] = to
}

// look brings the list of one resource up to date with its device node.
func (p *Plugin) look(ctx context.Context, r *resource) {
	missing := r.device.present(p.config.DevRoot, p.config.SysRoot)
	if p.config.Judge != nil {
		if refused := p.config.Judge(ctx, r.device.Resource, missing); missing == nil {
			missing = refused
		}
	}
	p.mu.Lock()
	count := p.count
	p.mu.Unlock()
	if !r.update(count, missing) {
		return
	}
	log := klog.FromContext(ctx).WithValues("resource", r.device.Resource)
	switch {
	case missing == nil:
		log.Info("Offering devices", "count", count)
	case errors.Is(missing, os.ErrNotExist):
		log.Info("Offering no devices, for the device node is missing", "node", filepath.Join(p.config.DevRoot, r.device.Node))
	default:
		log.Info("Offering no devices", "reason", missing.Error())
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is on its way already
	}
}
