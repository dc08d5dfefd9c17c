package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/pkg/generated/informers/externalversions"
	listers "github.com/virtplane/virtplane/pkg/generated/listers/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

// Options are what an Agent is told.
type Options struct {
	// Node is the node's name.
	Node string
	// Namespace is where the KubeVirt object is.
	Namespace string
	// PodsDir is the kubelet's directory of pods.
	PodsDir string
	// Workers is the number of instances that are looked at at the same time. None of them waits for a launcher.
	Workers int
	// LauncherTimeout is how long a launcher may stay away before a condition says so.
	LauncherTimeout time.Duration
	// StartTimeout bounds one try to start a guest.
	StartTimeout time.Duration
	// ImageSizeLimit bounds the virtual size of a disk image in bytes; 0: the launcher's own default.
	ImageSizeLimit int64
	// Configured, if set, is called with the cluster's configuration at the start and after each change.
	Configured func(virtv1.KubeVirtConfiguration)
	// Forgotten, if set, is called for an instance that has ended here, or was never here; it may be called again.
	Forgotten func(types.NamespacedName)
}

// Agent runs the instances of one node. Make one by New.
type Agent struct {
	options  Options
	client   versioned.Interface
	recorder events.EventRecorder
	clock    clock.WithTicker
	pods     Pods
	watcher  *pod.Watcher
	network  Network
	secrets  SecretSource
	pulse    pulse

	instances       listers.VirtualMachineInstanceLister
	instancesSynced cache.InformerSynced
	configs         listers.KubeVirtLister
	configsSynced   cache.InformerSynced
	factories       []externalversions.SharedInformerFactory
	queue           workqueue.TypedRateLimitingInterface[types.NamespacedName]

	mu       sync.Mutex
	sessions map[types.NamespacedName]*session
	// watched remembers which pod's directory is followed for an instance.
	watched map[types.NamespacedName]types.UID
	// away remembers since when an instance's launcher does not answer.
	away map[types.NamespacedName]time.Time
	// written remembers the last status write of each instance: the cache may still show what was before.
	written map[types.NamespacedName]write
	// incidents remembers the last one of each reason that an event has told of.
	incidents map[types.NamespacedName]map[string]told
}

// Dependencies are what an Agent works with.
type Dependencies struct {
	Client   versioned.Interface
	Recorder events.EventRecorder
	Clock    clock.WithTicker
	Pods     Pods
	Network  Network
	Secrets  SecretSource
}

// New prepares an Agent; Run starts it.
func New(options Options, d Dependencies) (*Agent, error) {
	watcher, err := pod.NewWatcher(options.PodsDir)
	if err != nil {
		return nil, err
	}
	mine := fields.OneTermEqualSelector(virtv1.VirtualMachineInstanceNodeField, options.Node).String()
	instances := externalversions.NewSharedInformerFactoryWithOptions(d.Client, 0,
		externalversions.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = mine }))
	configs := externalversions.NewSharedInformerFactoryWithOptions(d.Client, 0, externalversions.WithNamespace(options.Namespace))
	a := &Agent{
		options: options, client: d.Client, recorder: d.Recorder, clock: d.Clock, pods: d.Pods, watcher: watcher, network: d.Network, secrets: d.Secrets,
		pulse:           pulse{every: pulseEvery, within: answerTimeout},
		instances:       instances.Kubevirt().V1().VirtualMachineInstances().Lister(),
		instancesSynced: instances.Kubevirt().V1().VirtualMachineInstances().Informer().HasSynced,
		configs:         configs.Kubevirt().V1().KubeVirts().Lister(),
		configsSynced:   configs.Kubevirt().V1().KubeVirts().Informer().HasSynced,
		factories:       []externalversions.SharedInformerFactory{instances, configs},
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](10*time.Millisecond, 30*time.Second),
			workqueue.TypedRateLimitingQueueConfig[types.NamespacedName]{Name: "virtualmachineinstances", Clock: d.Clock}),
		sessions:  map[types.NamespacedName]*session{},
		watched:   map[types.NamespacedName]types.UID{},
		away:      map[types.NamespacedName]time.Time{},
		written:   map[types.NamespacedName]write{},
		incidents: map[types.NamespacedName]map[string]told{},
	}
	_, err = instances.Kubevirt().V1().VirtualMachineInstances().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    a.enqueue,
		UpdateFunc: func(_, now any) { a.enqueue(now) },
		DeleteFunc: a.enqueue,
	})
	if err == nil {
		_, err = configs.Kubevirt().V1().KubeVirts().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { a.configured() },
			UpdateFunc: func(any, any) { a.configured() },
		})
	}
	if err != nil {
		return nil, fmt.Errorf("following the API: %w", err)
	}
	return a, nil
}

func (a *Agent) enqueue(obj any) {
	key, err := cache.DeletionHandlingObjectToName(obj)
	if err == nil {
		a.queue.Add(types.NamespacedName{Namespace: key.Namespace, Name: key.Name})
	}
}

func (a *Agent) configured() {
	if config, err := a.configuration(); err == nil && a.options.Configured != nil {
		a.options.Configured(config)
	}
}

// Run works until ctx ends. It leaves all guests running.
func (a *Agent) Run(ctx context.Context) error {
	log := klog.FromContext(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { a.watcher.Run(ctx) })
	for _, f := range a.factories {
		f.Start(ctx.Done())
		defer f.Shutdown()
	}
	defer a.queue.ShutDown()
	if !cache.WaitForNamedCacheSyncWithContext(ctx, a.instancesSynced, a.configsSynced) {
		return nil // stopped before the API answered
	}
	log.Info("Running instances", "node", a.options.Node, "workers", a.options.Workers)
	for range a.options.Workers {
		wg.Go(func() {
			for a.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	a.queue.ShutDown()
	cancel()
	wg.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, s := range a.sessions {
		s.close()
		delete(a.sessions, key)
	}
	return nil
}

// Synced says whether the agent knows its instances.
func (a *Agent) Synced() error {
	if !a.instancesSynced() || !a.configsSynced() {
		return errors.New("the instances of this node have not been listed yet")
	}
	return nil
}

// Guests are the instances of this node that have not ended, not to be changed.
func (a *Agent) Guests() ([]*virtv1.VirtualMachineInstance, error) {
	if err := a.Synced(); err != nil {
		return nil, err
	}
	all, err := a.instances.List(everything)
	if err != nil {
		return nil, fmt.Errorf("listing the instances of this node: %w", err)
	}
	return slices.DeleteFunc(all, func(vmi *virtv1.VirtualMachineInstance) bool { return final(vmi.Status.Phase) }), nil
}

func (a *Agent) next(ctx context.Context) bool {
	key, quit := a.queue.Get()
	if quit {
		return false
	}
	defer a.queue.Done(key)
	log := klog.FromContext(ctx).WithValues("vmi", klog.KRef(key.Namespace, key.Name))
	again, err := a.reconcile(klog.NewContext(ctx, log), key)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errSoon):
		a.queue.AddRateLimited(key)
	case err != nil:
		log.Error(err, "Could not reconcile, trying again")
		a.queue.AddRateLimited(key)
	default:
		a.queue.Forget(key)
	}
	if again > 0 {
		a.queue.AddAfter(key, again)
	}
	return true
}

// configuration reads the cluster's configuration from the one KubeVirt object.
func (a *Agent) configuration() (virtv1.KubeVirtConfiguration, error) {
	all, err := a.configs.KubeVirts(a.options.Namespace).List(everything)
	if err != nil {
		return virtv1.KubeVirtConfiguration{}, fmt.Errorf("listing KubeVirt objects in namespace %s: %w", a.options.Namespace, err)
	}
	if len(all) == 0 {
		return virtv1.KubeVirtConfiguration{}, fmt.Errorf("namespace %s has no KubeVirt object", a.options.Namespace)
	}
	return all[0].Spec.Configuration, nil
}
