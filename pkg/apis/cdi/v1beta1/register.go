package v1beta1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupName is the API group of the types in this package.
const GroupName = "cdi.kubevirt.io"

// SchemeGroupVersion is the group and version of the types in this package. No kind of it is served yet: the types are
// parts of objects of kubevirt.io.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1beta1"}
