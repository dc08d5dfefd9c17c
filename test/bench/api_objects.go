package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned/scheme"
)

// apiNamespace holds the machines of bench-api, protobufNamespace those that are sent as protobuf.
const (
	apiNamespace      = "bench"
	protobufNamespace = "bench-protobuf"
)

// apiSide is one of the servers that bench-api compares: they serve the same kind under different names.
type apiSide struct {
	name, group string
	// embedded has the store inside of virt-api.
	embedded bool
}

var (
	ourSide = apiSide{name: "ours", group: virtv1.SchemeGroupVersion.Group}
	crdSide = apiSide{name: "crd", group: "bench.virtplane.io"}
	// embeddedSide is ours in one process; the manifests install it as two.
	embeddedSide = apiSide{name: "embedded", group: virtv1.SchemeGroupVersion.Group, embedded: true}
)

// servers are the processes that bench-api counts: all that serve or store objects, whichever side is measured.
func (s apiSide) servers() []string {
	if s.embedded {
		return []string{"kube-apiserver", "etcd", "virt-api"}
	}
	return []string{"kube-apiserver", "etcd", "virt-api", "virt-store"}
}

func (s apiSide) apiVersion() string { return s.group + "/v1" }

// path of the machines in a namespace, or of one of them.
func (s apiSide) path(namespace, name string) string {
	path := "/apis/" + s.apiVersion() + "/namespaces/" + namespace + "/virtualmachines"
	if name != "" {
		path += "/" + name
	}
	return path
}

func machineName(i int) string { return fmt.Sprintf("machine-%05d", i) }

//go:embed api-vm.yaml
var machineManifest string

// machineTemplate is a machine as JSON, with NAME for its name.
func (s apiSide) machineTemplate() (string, error) {
	raw, err := yaml.YAMLToJSONStrict([]byte(strings.Replace(machineManifest, "apiVersion: API", "apiVersion: "+s.apiVersion(), 1)))
	return string(raw), err
}

// named makes the body of one machine.
func named(template, name string) []byte { return []byte(strings.ReplaceAll(template, "NAME", name)) }

// asProtobuf encodes a machine of ours.
func asProtobuf(body []byte) ([]byte, error) {
	var vm virtv1.VirtualMachine
	if err := json.Unmarshal(body, &vm); err != nil {
		return nil, err
	}
	return runtime.Encode(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), &vm)
}

// items are the objects of a list, and its resource version.
func items(list []byte) ([]map[string]any, string, error) {
	var l struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(list, &l); err != nil {
		return nil, "", fmt.Errorf("reading a list: %w", err)
	}
	return l.Items, l.Metadata.ResourceVersion, nil
}
