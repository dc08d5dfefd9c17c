// Package v1 holds the wire types of the API group kubevirt.io: virtual machines, their running instances, migrations,
// replica sets, presets and the cluster's configuration. Names, JSON keys, list kinds and required fields follow the
// published shape of that API, so that manifests and clients written for it work unchanged; protobuf field numbers are
// ours, append only, and recorded in testdata/protobuf-numbers.golden.
//
// The package may depend on apimachinery and k8s.io/api alone: clients import it. It holds no behaviour beyond
// registration, defaulting and small constructors.
//
// +k8s:deepcopy-gen=package,register
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kubevirt.v1
// +k8s:protobuf-gen=package
// +groupName=kubevirt.io
package v1
