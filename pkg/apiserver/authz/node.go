package authz

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// NodeNameExtra is where kube-apiserver puts the node that a service account's token is bound to.
const NodeNameExtra = "authentication.kubernetes.io/node-name"

// Groups whose objects node agents are kept from.
const (
	virtGroup         = "kubevirt.io"
	subresourcesGroup = "subresources.kubevirt.io"
)

// NodeAgents recognizes the agents of nodes: virt-handler's service account in the namespace of the components.
type NodeAgents struct{ account string }

// NewNodeAgents recognizes those of this namespace.
func NewNodeAgents(namespace string) NodeAgents {
	return NodeAgents{"system:serviceaccount:" + namespace + ":kubevirt-handler"}
}

// Node returns the node that an agent speaks for, which is empty when its token is bound to none. Agent is false for
// everybody else.
func (n NodeAgents) Node(u user.Info) (node string, agent bool) {
	if u == nil || u.GetName() != n.account {
		return "", false
	}
	if names := u.GetExtra()[NodeNameExtra]; len(names) == 1 {
		node = names[0]
	}
	return node, true
}

// Authorizer refuses what no node agent may do, whatever its roles say, and leaves the rest to them.
func (n NodeAgents) Authorizer() authorizer.Authorizer {
	return authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		node, agent := n.Node(a.GetUser())
		if !agent || !a.IsResourceRequest() {
			return authorizer.DecisionNoOpinion, "", nil
		}
		if node == "" {
			return authorizer.DecisionDeny, "the token of virt-handler is bound to no node: it must come from a projected volume of its pod", nil
		}
		if reason := refuse(node, a); reason != "" {
			return authorizer.DecisionDeny, reason, nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
}

// nodeFields are the fields of an instance that name a node with business in it.
var nodeFields = map[string]bool{"status.nodeName": true, "status.migrationState.targetNode": true}

// refuse tells why a node's request is refused, or nothing.
func refuse(node string, a authorizer.Attributes) string {
	resource := a.GetResource()
	if a.GetSubresource() != "" {
		resource += "/" + a.GetSubresource()
	}
	switch a.GetAPIGroup() + "/" + resource {
	case subresourcesGroup + "/nodecertificates":
		if a.GetVerb() == "create" {
			return ""
		}
	case virtGroup + "/kubevirts":
		switch a.GetVerb() {
		case "get", "list", "watch":
			return ""
		}
	case virtGroup + "/virtualmachineinstances/status":
		switch a.GetVerb() {
		case "update", "patch":
			return "" // whose, is checked at admission
		}
	case virtGroup + "/virtualmachineinstances":
		switch a.GetVerb() {
		case "list", "watch":
			if selectsNode(node, a) {
				return ""
			}
			return fmt.Sprintf("node %s may read virtual machine instances only with fieldSelector status.nodeName=%s or status.migrationState.targetNode=%s", node, node, node)
		}
	}
	return fmt.Sprintf("node %s may not %s %s", node, a.GetVerb(), resource)
}

func selectsNode(node string, a authorizer.Attributes) bool {
	requirements, err := a.GetFieldSelector()
	if err != nil {
		return false
	}
	for _, r := range requirements {
		if nodeFields[r.Field] && r.Value == node && (r.Operator == selection.Equals || r.Operator == selection.DoubleEquals) {
			return true
		}
	}
	return false
}
