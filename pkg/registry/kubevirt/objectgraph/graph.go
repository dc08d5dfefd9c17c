// Package objectgraph lists the objects that a machine needs, for tools that back machines up or move them. It reads nothing
// but the machine and its instance: whether the objects exist is for others to find out.
package objectgraph

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

// dependencyLabel says in the graph what an object is to the machine: storage, network, compute or config.
const dependencyLabel = "kubevirt.io/dependency-type"

// kind is a kind of object in a graph.
type kind struct{ group, kind, dependency string }

var (
	virtualMachine       = kind{virtv1.GroupName, "VirtualMachine", "compute"}
	instance             = kind{virtv1.GroupName, "VirtualMachineInstance", "compute"}
	pod                  = kind{"", "Pod", "compute"}
	dataVolume           = kind{"cdi.kubevirt.io", "DataVolume", "storage"}
	claim                = kind{"", "PersistentVolumeClaim", "storage"}
	configMap            = kind{"", "ConfigMap", "config"}
	secret               = kind{"", "Secret", "config"}
	revision             = kind{"apps", "ControllerRevision", "config"}
	serviceAccount       = kind{"", "ServiceAccount", "network"}
	attachmentDefinition = kind{"k8s.cni.cncf.io", "NetworkAttachmentDefinition", "network"}
)

func node(k kind, namespace, name string, children ...virtv1.ObjectGraphNode) virtv1.ObjectGraphNode {
	return virtv1.ObjectGraphNode{
		ObjectReference: corev1.TypedObjectReference{APIGroup: ptr.To(k.group), Kind: k.kind, Name: name, Namespace: ptr.To(namespace)},
		Labels:          map[string]string{dependencyLabel: k.dependency},
		Children:        children,
	}
}

func optional(n virtv1.ObjectGraphNode) virtv1.ObjectGraphNode {
	n.Optional = ptr.To(true)
	return n
}

// Machine lists what a machine needs. vmi is its instance, nil if it has none.
func Machine(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance, options *virtv1.ObjectGraphOptions) (*virtv1.ObjectGraphNode, error) {
	root := node(virtualMachine, vm.Namespace, vm.Name)
	if vmi != nil {
		root.Children = append(root.Children, node(instance, vmi.Namespace, vmi.Name, pods(vmi)...))
	}
	root.Children = append(root.Children, chosen(vm)...)
	if vm.Spec.Template != nil {
		root.Children = append(root.Children, needs(&vm.Spec.Template.Spec, vm.Namespace)...)
	}
	return filtered(root, options)
}

// Instance lists what an instance needs.
func Instance(vmi *virtv1.VirtualMachineInstance, options *virtv1.ObjectGraphOptions) (*virtv1.ObjectGraphNode, error) {
	root := node(instance, vmi.Namespace, vmi.Name, pods(vmi)...)
	root.Children = append(root.Children, needs(&vmi.Spec, vmi.Namespace)...)
	return filtered(root, options)
}

// pods names the launcher pod, whose name follows from the instance.
func pods(vmi *virtv1.VirtualMachineInstance) []virtv1.ObjectGraphNode {
	if len(vmi.Status.ActivePods) == 0 {
		return nil
	}
	return []virtv1.ObjectGraphNode{node(pod, vmi.Namespace, machine.LauncherPodName(vmi.Namespace, vmi.Name, vmi.UID, 0))}
}

// chosen names the instance type and the preference, and the revisions of them that the machine keeps to. With a revision the
// machine starts without the type itself.
func chosen(vm *virtv1.VirtualMachine) []virtv1.ObjectGraphNode {
	var out []virtv1.ObjectGraphNode
	add := func(name, of, fallback, wanted string, status *virtv1.InstancetypeStatusRef) {
		if name != "" {
			if of == "" {
				of = fallback
			}
			namespace := vm.Namespace
			if strings.Contains(strings.ToLower(of), "cluster") {
				namespace = ""
			}
			out = append(out, optional(node(kind{"instancetype.kubevirt.io", kindOf(of), "config"}, namespace, name)))
		}
		if status != nil && status.ControllerRevisionRef != nil {
			wanted = status.ControllerRevisionRef.Name
		}
		if wanted != "" {
			out = append(out, node(revision, vm.Namespace, wanted))
		}
	}
	if m := vm.Spec.Instancetype; m != nil {
		add(m.Name, m.Kind, "VirtualMachineClusterInstancetype", m.RevisionName, vm.Status.InstancetypeRef)
	}
	if m := vm.Spec.Preference; m != nil {
		add(m.Name, m.Kind, "VirtualMachineClusterPreference", m.RevisionName, vm.Status.PreferenceRef)
	}
	return out
}

// kindOf reads a kind as people may write it, in lower case or in the plural.
func kindOf(s string) string {
	for _, k := range []string{"VirtualMachineInstancetype", "VirtualMachineClusterInstancetype", "VirtualMachinePreference", "VirtualMachineClusterPreference"} {
		if strings.EqualFold(strings.TrimSuffix(s, "s"), k) {
			return k
		}
	}
	return s
}

// needs names what the guest's own spec refers to, each object once.
func needs(spec *virtv1.VirtualMachineInstanceSpec, namespace string) []virtv1.ObjectGraphNode {
	var out []virtv1.ObjectGraphNode
	seen := map[string]bool{}
	add := func(k kind, name string, children ...virtv1.ObjectGraphNode) {
		if id := k.kind + "/" + name; name != "" && !seen[id] {
			seen[id] = true
			out = append(out, node(k, namespace, name, children...))
		}
	}
	for i := range spec.AccessCredentials {
		c := &spec.AccessCredentials[i]
		if c.SSHPublicKey != nil && c.SSHPublicKey.Source.Secret != nil {
			add(secret, c.SSHPublicKey.Source.Secret.SecretName)
		}
		if c.UserPassword != nil && c.UserPassword.Source.Secret != nil {
			add(secret, c.UserPassword.Source.Secret.SecretName)
		}
	}
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		var user, network *corev1.LocalObjectReference
		switch {
		case v.DataVolume != nil:
			add(dataVolume, v.DataVolume.Name, node(claim, namespace, v.DataVolume.Name))
		case v.PersistentVolumeClaim != nil:
			add(claim, v.PersistentVolumeClaim.ClaimName)
		case v.ConfigMap != nil:
			add(configMap, v.ConfigMap.Name)
		case v.Secret != nil:
			add(secret, v.Secret.SecretName)
		case v.ServiceAccount != nil:
			add(serviceAccount, v.ServiceAccount.ServiceAccountName)
		case v.CloudInitNoCloud != nil:
			user, network = v.CloudInitNoCloud.SecretRef, v.CloudInitNoCloud.NetworkDataSecretRef
		case v.CloudInitConfigDrive != nil:
			user, network = v.CloudInitConfigDrive.SecretRef, v.CloudInitConfigDrive.NetworkDataSecretRef
		}
		for _, ref := range []*corev1.LocalObjectReference{user, network} {
			if ref != nil {
				add(secret, ref.Name)
			}
		}
	}
	for _, n := range spec.Networks {
		if n.Multus == nil || n.Multus.NetworkName == "" {
			continue
		}
		where, name, qualified := strings.Cut(n.Multus.NetworkName, "/")
		if !qualified {
			where, name = namespace, n.Multus.NetworkName
		}
		out = append(out, optional(node(attachmentDefinition, where, name)))
	}
	return out
}

// filtered takes out what the options do not want, and with a node what hangs on it.
func filtered(root virtv1.ObjectGraphNode, options *virtv1.ObjectGraphOptions) (*virtv1.ObjectGraphNode, error) {
	selector := labels.Everything()
	if options.LabelSelector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(options.LabelSelector); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("labelSelector: %v", err))
		}
	}
	root.Children = filter(root.Children, selector, options.IncludeOptionalNodes == nil || *options.IncludeOptionalNodes)
	return &root, nil
}

func filter(nodes []virtv1.ObjectGraphNode, selector labels.Selector, withOptional bool) []virtv1.ObjectGraphNode {
	var out []virtv1.ObjectGraphNode
	for _, n := range nodes {
		if n.Optional != nil && *n.Optional && !withOptional || !selector.Matches(labels.Set(n.Labels)) {
			continue
		}
		n.Children = filter(n.Children, selector, withOptional)
		out = append(out, n)
	}
	return out
}
