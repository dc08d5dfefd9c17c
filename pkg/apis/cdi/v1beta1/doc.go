// Package v1beta1 holds the wire types of the API group cdi.kubevirt.io that other groups refer to: the specification of
// a DataVolume. It may depend on apimachinery and k8s.io/api alone and holds no behaviour.
//
// +k8s:deepcopy-gen=package,register
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kubevirt.cdi.v1beta1
// +k8s:protobuf-gen=package
// +groupName=cdi.kubevirt.io
package v1beta1
