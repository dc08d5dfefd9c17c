// Package clusterconfig follows the one KubeVirt object of the cluster, and makes it at the first start.
//
// It does not interpret the object.
package clusterconfig

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned"
	"github.com/virtplane/virtplane/pkg/generated/informers/externalversions"
)

// Config knows the KubeVirt object.
type Config struct {
	namespace string
	client    versioned.Interface
	current   atomic.Pointer[virtv1.KubeVirt]
	synced    atomic.Bool
	// Changed, if set before Run, is told of each state of the object; nil says that there is none.
	Changed func(*virtv1.KubeVirt)
}

// New follows the object in the namespace of the components; client is that of this very server.
func New(client versioned.Interface, namespace string) *Config {
	return &Config{client: client, namespace: namespace}
}

// KubeVirt returns the object, not to be changed, or nil as long as there is none.
func (c *Config) KubeVirt() *virtv1.KubeVirt { return c.current.Load() }

// Check fails until it is known whether there is an object: what an instance is given at its creation stays with it, so none
// may be created before.
func (c *Config) Check() error {
	if !c.synced.Load() {
		return errors.New("the cluster's configuration was not read yet")
	}
	return nil
}

// Run follows the object until ctx ends.
func (c *Config) Run(ctx context.Context) error {
	factory := externalversions.NewSharedInformerFactoryWithOptions(c.client, 0, externalversions.WithNamespace(c.namespace))
	informer := factory.Kubevirt().V1().KubeVirts().Informer()
	choose := func() {
		// Should there be several, the oldest counts: a second one changes nothing.
		var oldest *virtv1.KubeVirt
		for _, obj := range informer.GetStore().List() {
			kv := obj.(*virtv1.KubeVirt)
			if oldest == nil || kv.CreationTimestamp.Before(&oldest.CreationTimestamp) || kv.CreationTimestamp.Equal(&oldest.CreationTimestamp) && kv.Name < oldest.Name {
				oldest = kv
			}
		}
		c.current.Store(oldest)
		if c.Changed != nil {
			c.Changed(oldest)
		}
	}
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { choose() },
		UpdateFunc: func(any, any) { choose() },
		DeleteFunc: func(any) { choose() },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	c.synced.Store(cache.WaitForCacheSync(ctx.Done(), handler.HasSynced))
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

// InitialConfigMap holds the object that is created at the first start. The object itself cannot stand among the manifests:
// its kind is not known when they are applied.
const (
	InitialConfigMap = "kubevirt-config-initial"
	initialKey       = "kubevirt.yaml"
	// createdAnnotation names the store in which the object was created: whoever deletes it later means it.
	createdAnnotation = "virtplane.io/created-in-store"
)

// EnsureInitial creates the object of the ConfigMap, once for each store.
func (c *Config) EnsureInitial(ctx context.Context, host kubernetes.Interface, storeID string) error {
	cm, err := host.CoreV1().ConfigMaps(c.namespace).Get(ctx, InitialConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // the installation brings its own
	}
	if err != nil {
		return err
	}
	if cm.Annotations[createdAnnotation] == storeID {
		return nil
	}
	var kv virtv1.KubeVirt
	if err := yaml.UnmarshalStrict([]byte(cm.Data[initialKey]), &kv); err != nil {
		return fmt.Errorf("ConfigMap %s/%s: decoding %s: %w", cm.Namespace, cm.Name, initialKey, err)
	}
	kv.Namespace = c.namespace
	existing, err := c.client.KubevirtV1().KubeVirts(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing KubeVirt objects: %w", err)
	}
	if len(existing.Items) == 0 {
		if _, err := c.client.KubevirtV1().KubeVirts(c.namespace).Create(ctx, &kv, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating the first KubeVirt object: %w", err)
		}
		klog.FromContext(ctx).Info("Created the cluster's configuration", "kubevirt", klog.KObj(&kv))
	}
	cm = cm.DeepCopy()
	metav1.SetMetaDataAnnotation(&cm.ObjectMeta, createdAnnotation, storeID)
	_, err = host.CoreV1().ConfigMaps(c.namespace).Update(ctx, cm, metav1.UpdateOptions{})
	return err
}
