// Package provisioner makes and removes the PersistentVolumes of one node. It runs inside the driver of that node and calls its controller service directly, for claims that the scheduler
// has given to this node and volumes that lie on it; what concerns other nodes it neither keeps in memory nor touches. Everything it makes has a name that follows from the claim, so that a crash at any point
// ends in the same volume. It must not know how volumes are stored.
package provisioner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

const (
	// annSelectedNode is where the scheduler says on which node the volume of a claim shall be.
	annSelectedNode = "volume.kubernetes.io/selected-node"
	// annProvisioner is where Kubernetes says who shall make the volume of a claim.
	annProvisioner     = "volume.kubernetes.io/storage-provisioner"
	annBetaProvisioner = "volume.beta.kubernetes.io/storage-provisioner"
	// annBound is set by Kubernetes on claims that have their volume.
	annBound = "pv.kubernetes.io/bind-completed"
	// annProvisionedBy is where the maker of a volume signs.
	annProvisionedBy = "pv.kubernetes.io/provisioned-by"
	// finalizer keeps a PersistentVolume until its content is gone. It is the one that every CSI provisioner uses.
	finalizer = "external-provisioner.volume.kubernetes.io/finalizer"

	component  = "hostpath-csi"
	workers    = 4
	retryFirst = time.Second
	retryMost  = 2 * time.Minute
	// callTimeout bounds one pass over one object.
	callTimeout = 5 * time.Minute
)

// Names are what a StorageClass may call the provisioner: the driver's name, and the one that the manual of the reference prints, which is no valid CSI name.
var Names = []string{driver.Name, "kubevirt.io/hostpath-provisioner"}

// Volumes is what the provisioner needs of the driver.
type Volumes interface {
	CreateVolume(context.Context, *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error)
	DeleteVolume(context.Context, *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error)
	GetCapacity(context.Context, *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error)
}

// Config is what a provisioner works with.
type Config struct {
	NodeName string
	// Namespace is where the CSIStorageCapacity objects are kept.
	Namespace string
	Client    kubernetes.Interface
	Metadata  metadata.Interface
	Volumes   Volumes
	// Local lists what the node holds, to find volumes that nobody claims.
	Local func(context.Context) []LocalVolume
	// CapacityInterval is how often the capacity is looked at without an occasion.
	CapacityInterval time.Duration
}

// LocalVolume is a volume of this node.
type LocalVolume struct {
	ID        string
	Created   time.Time
	Published bool
}

// item is one thing to do.
type item struct {
	kind kind
	key  string
}

type kind string

const (
	claimItem  kind = "claim"
	volumeItem kind = "volume"
)

// Provisioner serves one node.
type Provisioner struct {
	Config
	queue    workqueue.TypedRateLimitingInterface[item]
	claims   *claimStore
	volumes  cache.SharedIndexInformer
	classes  cache.SharedIndexInformer
	events   record.EventRecorder
	capacity *capacityPublisher
	synced   atomic.Bool
}

// New makes a provisioner.
func New(config Config) (*Provisioner, error) {
	if config.NodeName == "" || config.Namespace == "" {
		return nil, errors.New("provisioner: node name and namespace must be set")
	}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[item](retryFirst, retryMost))
	p := &Provisioner{Config: config, queue: queue, claims: newClaimStore(config.NodeName, func(key string) { queue.Add(item{claimItem, key}) })}
	p.volumes = cache.NewSharedIndexInformer(p.volumeListWatch(), &corev1.PersistentVolume{}, 0, cache.Indexers{})
	p.classes = cache.NewSharedIndexInformer(p.classListWatch(), &storagev1.StorageClass{}, 0, cache.Indexers{})
	for _, informer := range []cache.SharedIndexInformer{p.volumes, p.classes} {
		if err := informer.SetTransform(strip); err != nil {
			return nil, fmt.Errorf("provisioner: %w", err)
		}
	}
	p.capacity = newCapacityPublisher(config, p.ourClasses, func(class *storagev1.StorageClass, message string) {
		p.events.Eventf(class, corev1.EventTypeWarning, reasonNoCapacity, "No volumes of this class on node %q: %s", p.NodeName, message)
	})
	if _, err := p.volumes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    p.enqueueVolume,
		UpdateFunc: func(_, obj any) { p.enqueueVolume(obj) },
	}); err != nil {
		return nil, fmt.Errorf("provisioner: %w", err)
	}
	classChanged := func(any) { p.capacity.poke() }
	if _, err := p.classes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: classChanged, UpdateFunc: func(_, obj any) { classChanged(obj) }, DeleteFunc: classChanged,
	}); err != nil {
		return nil, fmt.Errorf("provisioner: %w", err)
	}
	return p, nil
}

func (p *Provisioner) enqueueVolume(obj any) {
	if volume, ok := obj.(*corev1.PersistentVolume); ok {
		p.queue.Add(item{volumeItem, volume.Name})
	}
}

// Ready returns nil once all watches have delivered what there is.
func (p *Provisioner) Ready() error {
	if !p.synced.Load() {
		return errors.New("the provisioner has not heard from the API server yet")
	}
	return nil
}

// Run works until ctx ends.
func (p *Provisioner) Run(ctx context.Context) error {
	log := klog.FromContext(ctx).WithName("provisioner")
	ctx = klog.NewContext(ctx, log)
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: p.Client.CoreV1().Events("")})
	p.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component, Host: p.NodeName})

	var group sync.WaitGroup
	claims := cache.NewReflectorWithOptions(p.claimListWatch(), &metav1.PartialObjectMetadata{}, p.claims, cache.ReflectorOptions{Name: "claims", Logger: &log})
	group.Go(func() { claims.RunWithContext(ctx) })
	group.Go(func() { p.volumes.RunWithContext(ctx) })
	group.Go(func() { p.classes.RunWithContext(ctx) })
	defer group.Wait()
	if !cache.WaitForCacheSync(ctx.Done(), p.claims.HasSynced, p.volumes.HasSynced, p.classes.HasSynced) {
		return nil
	}
	p.synced.Store(true)
	log.Info("Watching claims of this node", "node", p.NodeName)
	for range workers {
		group.Go(func() { wait.UntilWithContext(ctx, p.work, time.Second) })
	}
	group.Go(func() { p.capacity.run(ctx) })
	group.Go(func() { p.sweepOrphans(ctx) })
	<-ctx.Done()
	p.queue.ShutDown()
	return nil
}

func (p *Provisioner) work(ctx context.Context) {
	for p.next(ctx) {
	}
}

func (p *Provisioner) next(ctx context.Context) bool {
	one, shutdown := p.queue.Get()
	if shutdown {
		return false
	}
	defer p.queue.Done(one)
	log := klog.FromContext(ctx).WithValues("kind", one.kind, "object", one.key)
	ctx, cancel := context.WithTimeout(klog.NewContext(ctx, log), callTimeout)
	defer cancel()
	var after time.Duration
	var err error
	switch one.kind {
	case claimItem:
		after, err = p.syncClaim(ctx, one.key)
	case volumeItem:
		err = p.syncVolume(ctx, one.key)
	}
	switch {
	case err != nil:
		log.Error(err, "Could not finish, will try again")
		p.queue.AddRateLimited(one)
	case after > 0:
		p.queue.AddAfter(one, after)
	default:
		p.queue.Forget(one)
	}
	return true
}

// class returns a StorageClass if it is one of ours.
func (p *Provisioner) class(ctx context.Context, name string) (*storagev1.StorageClass, error) {
	class, err := p.Client.StorageV1().StorageClasses().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("storage class %q does not exist", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading storage class %q: %w", name, err)
	}
	if !isOurs(class.Provisioner) {
		return nil, fmt.Errorf("storage class %q has provisioner %q, not %q", name, class.Provisioner, driver.Name)
	}
	return class, nil
}

func (p *Provisioner) ourClasses() []*storagev1.StorageClass {
	var all []*storagev1.StorageClass
	for _, obj := range p.classes.GetStore().List() {
		if class, ok := obj.(*storagev1.StorageClass); ok && isOurs(class.Provisioner) {
			all = append(all, class)
		}
	}
	return all
}

func isOurs(provisioner string) bool {
	for _, name := range Names {
		if provisioner == name {
			return true
		}
	}
	return false
}

func shortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// volumeListWatch sees only the volumes of this node: they carry its name as a label, since Kubernetes offers no field to select on.
func (p *Provisioner) volumeListWatch() cache.ListerWatcher {
	selector := labels.Set{driver.TopologyKey: p.NodeName}.String()
	volumes := p.Client.CoreV1().PersistentVolumes()
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: listFunc(func(ctx context.Context, o metav1.ListOptions) (*corev1.PersistentVolumeList, error) {
			o.LabelSelector = selector
			return volumes.List(ctx, o)
		}),
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return volumes.Watch(ctx, o)
		},
	}, p.Client)
}

func (p *Provisioner) classListWatch() cache.ListerWatcher {
	classes := p.Client.StorageV1().StorageClasses()
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  listFunc(classes.List),
		WatchFuncWithContext: classes.Watch,
	}, p.Client)
}

// claimListWatch sees the claims of the cluster, since Kubernetes cannot select those of a node; but only their metadata, and the store behind it keeps only what waits for this node.
func (p *Provisioner) claimListWatch() cache.ListerWatcher {
	claims := p.Metadata.Resource(corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"))
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  listFunc(claims.List),
		WatchFuncWithContext: claims.Watch,
	}, p.Metadata)
}

// listFunc fits a typed list to what informers take.
func listFunc[T runtime.Object](list func(context.Context, metav1.ListOptions) (T, error)) cache.ListWithContextFunc {
	return func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return list(ctx, options)
	}
}

// strip drops what nobody here reads and is half of an object.
func strip(obj any) (any, error) {
	if accessor, ok := obj.(metav1.Object); ok {
		accessor.SetManagedFields(nil)
	}
	return obj, nil
}
