package authz

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func TestNodeAuthorizer(t *testing.T) {
	handler := func(nodes ...string) user.Info {
		return &user.DefaultInfo{Name: "system:serviceaccount:kubevirt:kubevirt-handler", Extra: map[string][]string{"authentication.kubernetes.io/node-name": nodes}}
	}
	const deny, abstain = authorizer.DecisionDeny, authorizer.DecisionNoOpinion
	vmi := authorizer.AttributesRecord{APIGroup: "kubevirt.io", Resource: "virtualmachineinstances", ResourceRequest: true}
	with := func(base authorizer.AttributesRecord, change func(*authorizer.AttributesRecord)) authorizer.AttributesRecord {
		change(&base)
		return base
	}
	selecting := func(verb, selector string) authorizer.AttributesRecord {
		return with(vmi, func(a *authorizer.AttributesRecord) {
			a.Verb = verb
			a.FieldSelectorRequirements = fields.ParseSelectorOrDie(selector).Requirements()
		})
	}
	for _, tc := range []struct {
		name    string
		user    user.Info
		request authorizer.AttributesRecord
		want    authorizer.Decision
		reason  string
	}{
		{"somebody else", &user.DefaultInfo{Name: "alice"}, selecting("list", ""), abstain, ""},
		{"an account of the same name elsewhere", &user.DefaultInfo{Name: "system:serviceaccount:other:kubevirt-handler"}, selecting("list", ""), abstain, ""},
		{"discovery", handler("a"), authorizer.AttributesRecord{Verb: "get", Path: "/apis"}, abstain, ""},
		{"an unbound token", handler(), selecting("list", "status.nodeName=a"), deny, "bound to no node"},
		{"a token of two nodes", handler("a", "b"), selecting("list", "status.nodeName=a"), deny, "bound to no node"},
		{"its own instances", handler("a"), selecting("list", "status.nodeName=a"), abstain, ""},
		{"watching them", handler("a"), selecting("watch", "status.nodeName==a,status.phase!=Failed"), abstain, ""},
		{"those that come to it", handler("a"), selecting("watch", "status.migrationState.targetNode=a"), abstain, ""},
		{"all instances", handler("a"), selecting("list", ""), deny, "only with fieldSelector status.nodeName=a"},
		{"another node's", handler("a"), selecting("list", "status.nodeName=b"), deny, "only with fieldSelector"},
		{"all but its own", handler("a"), selecting("list", "status.nodeName!=a"), deny, "only with fieldSelector"},
		{"a field of another meaning", handler("a"), selecting("list", "metadata.name=a"), deny, "only with fieldSelector"},
		{"one instance by name", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb, a.Name = "get", "x" }), deny, "node a may not get virtualmachineinstances"},
		{"the spec", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb = "update" }), deny, "node a may not update virtualmachineinstances"},
		{"deleting", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb = "deletecollection" }), deny, "may not deletecollection"},
		{"status", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb, a.Subresource = "patch", "status" }), abstain, ""},
		{"reading by the status", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb, a.Subresource, a.Name = "get", "status", "x" }), deny, "may not get virtualmachineinstances/status"},
		{"console", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb, a.Subresource = "get", "console" }), deny, "may not get virtualmachineinstances/console"},
		{"machines", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb, a.Resource = "list", "virtualmachines" }), deny, "may not list virtualmachines"},
		{"the configuration", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb, a.Resource = "watch", "kubevirts" }), abstain, ""},
		{"writing the configuration", handler("a"), with(vmi, func(a *authorizer.AttributesRecord) { a.Verb, a.Resource = "update", "kubevirts" }), deny, "may not update kubevirts"},
		{"a certificate", handler("a"), authorizer.AttributesRecord{APIGroup: "subresources.kubevirt.io", Resource: "nodecertificates", Verb: "create", ResourceRequest: true}, abstain, ""},
		{"reading certificates", handler("a"), authorizer.AttributesRecord{APIGroup: "subresources.kubevirt.io", Resource: "nodecertificates", Verb: "get", ResourceRequest: true}, deny, "may not get nodecertificates"},
		{"starting a machine", handler("a"), authorizer.AttributesRecord{APIGroup: "subresources.kubevirt.io", Resource: "virtualmachines", Subresource: "start", Verb: "update", ResourceRequest: true}, deny, "may not update virtualmachines/start"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.request.User = tc.user
			got, reason, err := NewNodeAgents("kubevirt").Authorizer().Authorize(t.Context(), tc.request)
			if err != nil || got != tc.want || !strings.Contains(reason, tc.reason) {
				t.Errorf("decision %v, reason %q, error %v; want %v, %q", got, reason, err, tc.want, tc.reason)
			}
		})
	}
}
