package provisioner

import (
	"context"
	"fmt"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/status"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	storagev1ac "k8s.io/client-go/applyconfigurations/storage/v1"
	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

const (
	labelDriver    = "csi.storage.k8s.io/drivername"
	labelManagedBy = "csi.storage.k8s.io/managed-by"
	managedBy      = "hostpath-csi"

	// capacityUnit is what published capacities are rounded down to.
	capacityUnit = 64 << 20
	// capacityGrain is the part of a capacity by which it must change to be written again without an occasion.
	capacityGrain = 100
	// capacityAnyway is when it is written again in any case, should somebody have removed it.
	capacityAnyway = 10 * time.Minute
	// capacitySettle waits for more occasions before writing.
	capacitySettle = 200 * time.Millisecond
)

// capacityPublisher tells the scheduler how much each class of ours can promise on this node, by one CSIStorageCapacity for each.
type capacityPublisher struct {
	Config
	classes func() []*storagev1.StorageClass
	pokes   chan struct{}
	written map[string]published
	// complain tells users why a class has no capacity here, complaints what they were told.
	complain   func(*storagev1.StorageClass, string)
	complaints map[string]string
	// listed says that leftovers of an earlier process have been looked for.
	listed bool
}

type published struct {
	bytes int64
	at    time.Time
}

func newCapacityPublisher(config Config, classes func() []*storagev1.StorageClass, complain func(*storagev1.StorageClass, string)) *capacityPublisher {
	return &capacityPublisher{
		Config: config, classes: classes, complain: complain,
		pokes: make(chan struct{}, 1), written: map[string]published{}, complaints: map[string]string{},
	}
}

// poke says that there is an occasion to look again.
func (c *capacityPublisher) poke() {
	select {
	case c.pokes <- struct{}{}:
	default:
	}
}

func (c *capacityPublisher) run(ctx context.Context) {
	ticker := time.NewTicker(c.CapacityInterval)
	defer ticker.Stop()
	for {
		if err := c.publish(ctx, time.Now()); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Could not publish all capacities, will try again")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.pokes:
			select {
			case <-ctx.Done():
				return
			case <-time.After(capacitySettle):
			}
		}
	}
}

func (c *capacityPublisher) publish(ctx context.Context, now time.Time) error {
	owner, err := c.owner(ctx)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, class := range c.classes() {
		if !allows(class, c.NodeName) {
			continue
		}
		name := c.objectName(class)
		wanted[name] = true
		response, err := c.Volumes.GetCapacity(ctx, &csi.GetCapacityRequest{Parameters: class.Parameters})
		available := response.GetAvailableCapacity()
		if err != nil {
			// A class that names no pool of this node, or a broken pool: nothing can be promised, and the scheduler must know. It will only say that there is not enough storage, so the class says why.
			available = 0
			if message := status.Convert(err).Message(); c.complaints[name] != message {
				c.complaints[name] = message
				c.complain(class, message)
			}
		}
		if err == nil {
			delete(c.complaints, name)
		}
		available -= available % capacityUnit
		if !c.worthWriting(name, available, now) {
			continue
		}
		if err := c.apply(ctx, name, class, available, owner); err != nil {
			return err
		}
		c.written[name] = published{available, now}
	}
	return c.prune(ctx, wanted)
}

func (c *capacityPublisher) worthWriting(name string, available int64, now time.Time) bool {
	last, found := c.written[name]
	if !found || now.Sub(last.at) >= capacityAnyway {
		return true
	}
	difference := available - last.bytes
	if difference < 0 {
		difference = -difference
	}
	return difference > 0 && (available == 0 || difference >= last.bytes/capacityGrain)
}

func (c *capacityPublisher) apply(ctx context.Context, name string, class *storagev1.StorageClass, available int64, owner *metav1ac.OwnerReferenceApplyConfiguration) error {
	object := storagev1ac.CSIStorageCapacity(name, c.Namespace).
		WithLabels(map[string]string{labelDriver: driver.Name, labelManagedBy: managedBy, driver.TopologyKey: c.NodeName}).
		WithOwnerReferences(owner).
		WithNodeTopology(metav1ac.LabelSelector().WithMatchLabels(map[string]string{driver.TopologyKey: c.NodeName})).
		WithStorageClassName(class.Name).
		WithCapacity(*resource.NewQuantity(available, resource.BinarySI)).
		WithMaximumVolumeSize(*resource.NewQuantity(available, resource.BinarySI))
	_, err := c.Client.StorageV1().CSIStorageCapacities(c.Namespace).Apply(ctx, object, metav1.ApplyOptions{FieldManager: managedBy, Force: true})
	if err != nil {
		return fmt.Errorf("writing capacity of storage class %q: %w", class.Name, err)
	}
	return nil
}

// owner is the node: its capacities go when it goes.
func (c *capacityPublisher) owner(ctx context.Context) (*metav1ac.OwnerReferenceApplyConfiguration, error) {
	node, err := c.Client.CoreV1().Nodes().Get(ctx, c.NodeName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading node %q: %w", c.NodeName, err)
	}
	return metav1ac.OwnerReference().WithAPIVersion("v1").WithKind("Node").WithName(node.Name).WithUID(node.UID), nil
}

// prune removes the capacities of classes that are gone, also those that an earlier process wrote.
func (c *capacityPublisher) prune(ctx context.Context, wanted map[string]bool) error {
	capacities := c.Client.StorageV1().CSIStorageCapacities(c.Namespace)
	stale := map[string]bool{}
	for name := range c.written {
		stale[name] = !wanted[name]
	}
	if !c.listed {
		selector := labels.Set{labelManagedBy: managedBy, driver.TopologyKey: c.NodeName}.String()
		list, err := capacities.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return fmt.Errorf("listing capacities: %w", err)
		}
		for _, one := range list.Items {
			stale[one.Name] = !wanted[one.Name]
		}
		c.listed = true
	}
	for name, is := range stale {
		if !is {
			continue
		}
		if err := capacities.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting capacity %q: %w", name, err)
		}
		delete(c.written, name)
		delete(c.complaints, name)
	}
	return nil
}

// objectName follows from node and class, so that there is one object for each.
func (c *capacityPublisher) objectName(class *storagev1.StorageClass) string {
	return "hostpath-" + shortHash(c.NodeName, class.Name)
}
