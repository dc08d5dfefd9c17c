package provisioner

import (
	"fmt"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// claimStore is what the watch of claims writes to. It forgets at once what does not wait for this node, so that its size follows the node's work and not the cluster's.
type claimStore struct {
	node    string
	enqueue func(key string)

	mu      sync.Mutex
	waiting map[string]types.UID
	synced  atomic.Bool
}

var (
	_ cache.ReflectorStore    = &claimStore{}
	_ cache.TransformingStore = &claimStore{}
)

func newClaimStore(node string, enqueue func(string)) *claimStore {
	return &claimStore{node: node, enqueue: enqueue, waiting: map[string]types.UID{}}
}

// interesting says whether a claim may need this node. One that nobody has given to a node yet may: see claimForThisNode.
func (s *claimStore) interesting(o metav1.Object) bool {
	annotations := o.GetAnnotations()
	provisioner := annotations[annProvisioner]
	if provisioner == "" {
		provisioner = annotations[annBetaProvisioner]
	}
	node := annotations[annSelectedNode]
	return isOurs(provisioner) && (node == s.node || node == "") && annotations[annBound] == "" && o.GetDeletionTimestamp() == nil
}

// Transformer cuts objects down while they are collected for the first time, before Replace sees them all.
func (s *claimStore) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		o, ok := obj.(*metav1.PartialObjectMetadata)
		if !ok {
			return obj, nil
		}
		cut := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion}}
		if s.interesting(o) {
			cut.Annotations = o.Annotations
		}
		return cut, nil
	}
}

func (s *claimStore) Add(obj any) error {
	o, ok := obj.(metav1.Object)
	if !ok {
		return fmt.Errorf("watching claims: got a %T", obj)
	}
	key := o.GetNamespace() + "/" + o.GetName()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.interesting(o) {
		delete(s.waiting, key)
		return nil
	}
	s.waiting[key] = o.GetUID()
	s.enqueue(key)
	return nil
}

func (s *claimStore) Update(obj any) error { return s.Add(obj) }

func (s *claimStore) Delete(obj any) error {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	o, ok := obj.(metav1.Object)
	if !ok {
		return fmt.Errorf("watching claims: got a %T", obj)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, o.GetNamespace()+"/"+o.GetName())
	return nil
}

func (s *claimStore) Replace(objects []any, _ string) error {
	s.mu.Lock()
	s.waiting = map[string]types.UID{}
	s.mu.Unlock()
	for _, obj := range objects {
		if err := s.Add(obj); err != nil {
			return err
		}
	}
	s.synced.Store(true)
	return nil
}

func (s *claimStore) Resync() error { return nil }

// HasSynced says whether the claims that existed at the start are known.
func (s *claimStore) HasSynced() bool { return s.synced.Load() }

// waitsFor says whether a claim of that UID still waits for this node.
func (s *claimStore) waitsFor(uid types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.waiting {
		if one == uid {
			return true
		}
	}
	return false
}
