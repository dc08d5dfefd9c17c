package options

import (
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	genericoptions "k8s.io/apiserver/pkg/server/options"

	"github.com/virtplane/virtplane/pkg/apiserver/admission/virtnode"
	"github.com/virtplane/virtplane/pkg/apiserver/authz"
)

// addQuota turns on quotas of object counts (count/virtualmachines.kubevirt.io).
func addQuota(o *genericoptions.AdmissionOptions) {
	resourcequota.Register(o.Plugins)
	// Last: what another plugin refuses must not be counted.
	o.RecommendedPluginOrder = append(o.RecommendedPluginOrder, resourcequota.PluginName)
}

// addNodes keeps the agents of nodes to their nodes.
func addNodes(o *Options) {
	virtnode.Register(o.Recommended.Admission.Plugins, func() virtnode.Node { return authz.NewNodeAgents(o.Namespace).Node })
	o.Recommended.Admission.RecommendedPluginOrder = append([]string{virtnode.PluginName}, o.Recommended.Admission.RecommendedPluginOrder...)
}

// quotaInitializer configures the plugin: every resource is counted, none is left out.
type quotaInitializer struct{ configuration quota.Configuration }

func newQuotaInitializer() admission.PluginInitializer {
	return quotaInitializer{generic.NewConfiguration(nil, nil)}
}

// Initialize implements admission.PluginInitializer.
func (i quotaInitializer) Initialize(plugin admission.Interface) {
	if w, ok := plugin.(initializer.WantsQuotaConfiguration); ok {
		w.SetQuotaConfiguration(i.configuration)
	}
}
