package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// ConfigMapName is the ConfigMap of the host cluster that remembers the store.
const ConfigMapName = "virtplane-store"

// Keys of the ConfigMap.
const (
	keyID         = "id"
	keyGeneration = "generation"
	keyRevision   = "revision"
	keyCluster    = "cluster"
)

// ConfigMapAnchor keeps the record in a ConfigMap of the host cluster.
type ConfigMapAnchor struct {
	client    kubernetes.Interface
	namespace string

	mu   sync.Mutex
	last *corev1.ConfigMap // as it was read or written last
}

var _ Anchor = &ConfigMapAnchor{}

// NewConfigMapAnchor keeps the record in this namespace.
func NewConfigMapAnchor(client kubernetes.Interface, namespace string) *ConfigMapAnchor {
	return &ConfigMapAnchor{client: client, namespace: namespace}
}

// Load reads the record.
func (a *ConfigMapAnchor) Load(ctx context.Context) (*Record, error) {
	cm, err := a.client.CoreV1().ConfigMaps(a.namespace).Get(ctx, ConfigMapName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.last = nil
		return nil, nil
	}
	a.last = cm
	return decodeRecord(cm)
}

// decodeRecord returns nil for a ConfigMap that holds other things but no record yet.
func decodeRecord(cm *corev1.ConfigMap) (*Record, error) {
	if cm.Data[keyID] == "" {
		return nil, nil
	}
	r := &Record{ID: cm.Data[keyID]}
	for key, into := range map[string]*int64{keyGeneration: &r.Generation, keyRevision: &r.Revision} {
		n, err := strconv.ParseInt(cm.Data[key], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s: %s is not a number: %q", cm.Namespace, cm.Name, key, cm.Data[key])
		}
		*into = n
	}
	if c := cm.Data[keyCluster]; c != "" {
		n, err := strconv.ParseUint(c, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s: %s is not a hexadecimal number: %q", cm.Namespace, cm.Name, keyCluster, c)
		}
		r.Cluster = n
	}
	return r, nil
}

func encodeRecord(cm *corev1.ConfigMap, r Record) {
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Data[keyID] = r.ID
	cm.Data[keyGeneration] = strconv.FormatInt(r.Generation, 10)
	cm.Data[keyRevision] = strconv.FormatInt(r.Revision, 10)
	cm.Data[keyCluster] = strconv.FormatUint(r.Cluster, 16)
}

// Create writes the first record.
func (a *ConfigMapAnchor) Create(ctx context.Context, r Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	var cm *corev1.ConfigMap
	if a.last == nil {
		cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ConfigMapName, Namespace: a.namespace}}
		encodeRecord(cm, r)
		cm, err = a.client.CoreV1().ConfigMaps(a.namespace).Create(ctx, cm, metav1.CreateOptions{})
	} else {
		cm = a.last.DeepCopy()
		encodeRecord(cm, r)
		cm, err = a.client.CoreV1().ConfigMaps(a.namespace).Update(ctx, cm, metav1.UpdateOptions{})
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		return ErrExists
	}
	if err == nil {
		a.last = cm
	}
	return err
}

// Advance raises the revision. A conflict is no error: whoever was faster has recorded about the same.
func (a *ConfigMapAnchor) Advance(ctx context.Context, r Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		return errors.New("there is no record")
	}
	old, err := decodeRecord(a.last)
	if err != nil || old == nil || old.ID != r.ID || old.Generation != r.Generation || old.Revision >= r.Revision && old.Cluster == r.Cluster {
		return err
	}
	cm := a.last.DeepCopy()
	encodeRecord(cm, r)
	cm, err = a.client.CoreV1().ConfigMaps(a.namespace).Update(ctx, cm, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err):
		return nil
	case err != nil:
		return err
	}
	a.last = cm
	return nil
}

// Replace writes a record over whatever stands there.
func (a *ConfigMapAnchor) Replace(ctx context.Context, r Record) error {
	for range 10 {
		if _, err := a.Load(ctx); err != nil && a.last == nil {
			return err
		}
		if err := a.Create(ctx, r); !errors.Is(err, ErrExists) {
			return err
		}
	}
	return fmt.Errorf("ConfigMap %s/%s is being written by others all the time", a.namespace, ConfigMapName)
}

// Fresh looks for launcher pods: where there are any, there was a store.
func (a *ConfigMapAnchor) Fresh(ctx context.Context) error {
	pods, err := RunningLaunchers(ctx, a.client)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return nil
	}
	return fmt.Errorf("nothing is recorded of the store in ConfigMap %s/%s, but %d virtual machines run, among them %s/%s: their store was lost: %s",
		a.namespace, ConfigMapName, len(pods), pods[0].Namespace, pods[0].Name, wayOut)
}

// RunningLaunchers lists the pods of virtual machines that have not ended.
func RunningLaunchers(ctx context.Context, client kubernetes.Interface) ([]corev1.Pod, error) {
	list, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		LabelSelector: "kubevirt.io=virt-launcher",
		FieldSelector: "status.phase!=Succeeded,status.phase!=Failed",
	})
	if err != nil {
		return nil, fmt.Errorf("looking for launcher pods: %w", err)
	}
	return list.Items, nil
}

// nodeKey is where the node of a member is recorded.
func nodeKey(member string) string { return "node." + member }

// Pin records the node of a member at its first start. On another node the member's data is not there, so it must not start.
func (a *ConfigMapAnchor) Pin(ctx context.Context, member, node string) error {
	for {
		_, err := a.Load(ctx)
		if err != nil {
			return fmt.Errorf("reading the node of member %s: %w", member, err)
		}
		a.mu.Lock()
		cm := a.last
		a.mu.Unlock()
		if cm != nil && cm.Data[nodeKey(member)] != "" {
			if recorded := cm.Data[nodeKey(member)]; recorded != node {
				return fmt.Errorf("the data of member %s is on node %s, but this is node %s: run it there, or, if that node is lost, remove %s from ConfigMap %s/%s",
					member, recorded, node, nodeKey(member), a.namespace, ConfigMapName)
			}
			return nil
		}
		if cm == nil {
			cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ConfigMapName, Namespace: a.namespace}, Data: map[string]string{nodeKey(member): node}}
			_, err = a.client.CoreV1().ConfigMaps(a.namespace).Create(ctx, cm, metav1.CreateOptions{})
		} else {
			cm = cm.DeepCopy()
			if cm.Data == nil {
				cm.Data = map[string]string{}
			}
			cm.Data[nodeKey(member)] = node
			_, err = a.client.CoreV1().ConfigMaps(a.namespace).Update(ctx, cm, metav1.UpdateOptions{})
		}
		switch {
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
			continue
		case err != nil:
			return fmt.Errorf("recording the node of member %s: %w", member, err)
		}
		return nil
	}
}

// Node returns the node that a member's data is on, or nothing before its first start.
func (a *ConfigMapAnchor) Node(ctx context.Context, member string) (string, error) {
	if _, err := a.Load(ctx); err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		return "", nil
	}
	return a.last.Data[nodeKey(member)], nil
}
