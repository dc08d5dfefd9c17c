// Package install registers the group kubevirt.io in a scheme: the stored and preferred version v1, the deprecated
// v1alpha3 and the internal version that the storage layer works in. All three share one Go type for each kind, because
// their shapes do not differ, so that no conversion exists. It must hold no behaviour beyond registration; the group of
// subresources is registered by the same call: it has versions but no kinds of its own, since its bodies are kinds of kubevirt.io.
package install

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Install registers every version of the group, its defaults, its field selectors and the order of its versions.
func Install(scheme *runtime.Scheme) {
	utilruntime.Must(virtv1.AddToScheme(scheme))
	scheme.AddKnownTypes(virtv1.InternalGroupVersion, virtv1.KnownTypes()...)
	scheme.AddKnownTypes(virtv1.DeprecatedGroupVersion, virtv1.KnownTypes()...)
	metav1.AddToGroupVersion(scheme, virtv1.DeprecatedGroupVersion)
	utilruntime.Must(scheme.SetVersionPriority(virtv1.SchemeGroupVersion, virtv1.DeprecatedGroupVersion))

	for _, gv := range []schema.GroupVersion{virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion} {
		metav1.AddToGroupVersion(scheme, gv)
	}
	utilruntime.Must(scheme.SetVersionPriority(virtv1.SubresourceGroupVersion, virtv1.DeprecatedSubresourceGroupVersion))

	for _, gv := range []schema.GroupVersion{virtv1.SchemeGroupVersion, virtv1.DeprecatedGroupVersion} {
		for kind, selectable := range virtv1.SelectableFields() {
			utilruntime.Must(scheme.AddFieldLabelConversionFunc(gv.WithKind(kind), fieldLabels(kind, selectable)))
		}
	}
}

// fieldLabels refuses the selectors that the kind does not have, and says which it has.
func fieldLabels(kind string, selectable []string) runtime.FieldLabelConversionFunc {
	known := make(map[string]bool, len(selectable))
	for _, label := range selectable {
		known[label] = true
	}
	return func(label, value string) (string, string, error) {
		if !known[label] {
			return "", "", fmt.Errorf("%q is not a field selector of %s: use one of %v", label, kind, selectable)
		}
		return label, value, nil
	}
}
