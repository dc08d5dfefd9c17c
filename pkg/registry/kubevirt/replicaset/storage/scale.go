package storage

import (
	"context"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// replicasPath tells where the number of replicas is in each version, for the book-keeping of who set it.
var replicasPath = managedfields.ResourcePathMappings{
	virtv1.SchemeGroupVersion.String():     fieldpath.MakePathOrDie("spec", "replicas"),
	virtv1.DeprecatedGroupVersion.String(): fieldpath.MakePathOrDie("spec", "replicas"),
}

// ScaleREST serves /scale, by which autoscalers and kubectl scale change the number of instances.
type ScaleREST struct{ store *registry.Store }

var (
	_ rest.Getter                   = &ScaleREST{}
	_ rest.Updater                  = &ScaleREST{}
	_ rest.Patcher                  = &ScaleREST{}
	_ rest.GroupVersionKindProvider = &ScaleREST{}
	_ rest.TableConvertor           = &ScaleREST{}
)

// GroupVersionKind is that of autoscaling.
func (*ScaleREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return autoscalingv1.SchemeGroupVersion.WithKind("Scale")
}

// New makes an empty Scale.
func (*ScaleREST) New() runtime.Object { return &autoscalingv1.Scale{} }

// Destroy does nothing: the connection belongs to the main storage.
func (*ScaleREST) Destroy() {}

// Get reads the scale of a replica set.
func (r *ScaleREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	obj, err := r.store.Get(ctx, name, options)
	if err != nil {
		return nil, err
	}
	return scaleOf(obj.(object))
}

// Update changes the number of replicas.
func (r *ScaleREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	obj, _, err := r.store.Update(ctx, name, &scaleInfo{name, info}, scaleCreate(create), scaleUpdate(update), false, options)
	if err != nil {
		return nil, false, err
	}
	scale, err := scaleOf(obj.(object))
	if err != nil {
		return nil, false, err
	}
	return scale, false, nil
}

// ConvertToTable prints the scale.
func (r *ScaleREST) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return rest.NewDefaultTableConvertor(virtv1.Resource("virtualmachineinstancereplicasets")).ConvertToTable(ctx, obj, options)
}

// scaleCreate and scaleUpdate show admission the scale and not the replica set.
func scaleCreate(f rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		scale, err := scaleOf(obj.(object))
		if err != nil {
			return err
		}
		return f(ctx, scale)
	}
}

func scaleUpdate(f rest.ValidateObjectUpdateFunc) rest.ValidateObjectUpdateFunc {
	return func(ctx context.Context, obj, old runtime.Object) error {
		scale, err := scaleOf(obj.(object))
		if err != nil {
			return err
		}
		was, err := scaleOf(old.(object))
		if err != nil {
			return err
		}
		return f(ctx, scale, was)
	}
}

func scaleOf(s object) (*autoscalingv1.Scale, error) {
	selector, err := metav1.LabelSelectorAsSelector(s.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("reading the selector of replica set %s/%s: %w", s.Namespace, s.Name, err)
	}
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, UID: s.UID, ResourceVersion: s.ResourceVersion, CreationTimestamp: s.CreationTimestamp},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas(s)},
		Status:     autoscalingv1.ScaleStatus{Replicas: s.Status.Replicas, Selector: selector.String()},
	}, nil
}

// scaleInfo turns the update of a scale into the update of its replica set.
type scaleInfo struct {
	name string
	info rest.UpdatedObjectInfo
}

func (i *scaleInfo) Preconditions() *metav1.Preconditions { return i.info.Preconditions() }

func (i *scaleInfo) UpdatedObject(ctx context.Context, oldObj runtime.Object) (runtime.Object, error) {
	s := oldObj.(object).DeepCopy()
	group := virtv1.SchemeGroupVersion
	managers := managedfields.NewScaleHandler(s.ManagedFields, group, replicasPath)
	old, err := scaleOf(s)
	if err != nil {
		return nil, err
	}
	parent, err := managers.ToSubresource()
	if err != nil {
		return nil, err
	}
	old.ManagedFields = parent
	obj, err := i.info.UpdatedObject(ctx, old)
	if err != nil {
		return nil, err
	}
	scale, ok := obj.(*autoscalingv1.Scale)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("wrong object passed to the scale of %s: %T", i.name, obj))
	}
	if scale.Spec.Replicas < 0 {
		return nil, apierrors.NewInvalid(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind(), i.name,
			field.ErrorList{field.Invalid(field.NewPath("spec", "replicas"), scale.Spec.Replicas, "must be 0 or more")})
	}
	if scale.ResourceVersion != "" {
		s.ResourceVersion = scale.ResourceVersion
	}
	s.Spec.Replicas = &scale.Spec.Replicas
	updated, err := managers.ToParent(scale.ManagedFields)
	if err != nil {
		return nil, err
	}
	s.ManagedFields = updated
	return s, nil
}
