// Package virtnode is the admission plugin that keeps a node's agent to the virtual machine instances of its node: it may
// write the status of those that run there or are on their way there.
//
// What of a status the agent owns is the registry's business.
package virtnode

import (
	"context"
	"fmt"
	"io"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// PluginName is the name for the flags that turn plugins on and off.
const PluginName = "VirtNode"

// Node returns the node that an agent speaks for; agent is false for everybody else.
type Node func(user.Info) (node string, agent bool)

// Plugin is the admission plugin.
type Plugin struct {
	*admission.Handler
	node func() Node
}

var _ admission.ValidationInterface = &Plugin{}

// Register adds the plugin. The function is asked for when the plugin is made, after flags were parsed.
func Register(plugins *admission.Plugins, node func() Node) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) {
		return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete), node: node}, nil
	})
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	node, agent := p.node()(a.GetUserInfo())
	if !agent || a.GetResource().Group != virtv1.GroupName {
		return nil
	}
	if a.GetResource().Resource != "virtualmachineinstances" || a.GetSubresource() != "status" || a.GetOperation() != admission.Update {
		return admission.NewForbidden(a, fmt.Errorf("node %s may write nothing but the status of virtual machine instances", node))
	}
	old, ok := a.GetOldObject().(*virtv1.VirtualMachineInstance)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("unexpected object %T", a.GetOldObject()))
	}
	if node == "" || !concerns(old, node) {
		return admission.NewForbidden(a, fmt.Errorf("node %q may write the status of its own virtual machine instances alone; this one is on node %q", node, old.Status.NodeName))
	}
	updated, ok := a.GetObject().(*virtv1.VirtualMachineInstance)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("unexpected object %T", a.GetObject()))
	}
	if updated.Status.NodeName != old.Status.NodeName {
		return admission.NewForbidden(a, fmt.Errorf("node %q may not hand the virtual machine instance over: status.nodeName is %q and would be %q", node, old.Status.NodeName, updated.Status.NodeName))
	}
	return nil
}

func concerns(vmi *virtv1.VirtualMachineInstance, node string) bool {
	if vmi.Status.NodeName == node {
		return true
	}
	m := vmi.Status.MigrationState
	return m != nil && m.TargetNode == node
}
