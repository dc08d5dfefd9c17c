package v1

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func init() { localSchemeBuilder.Register(addScale) }

// addScale makes the kind of the subresource /scale known, which belongs to another group. It must be there before the
// server's OpenAPI is made: the book-keeping of who owns the replicas looks it up there.
func addScale(scheme *runtime.Scheme) error {
	internal := schema.GroupVersion{Group: autoscalingv1.GroupName, Version: runtime.APIVersionInternal}
	for _, gv := range []schema.GroupVersion{autoscalingv1.SchemeGroupVersion, internal} {
		scheme.AddKnownTypes(gv, &autoscalingv1.Scale{})
	}
	return nil
}
