package kubevirt

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Reader reads the cluster's configuration from a cache.
type Reader struct {
	Client client.Reader
	// Namespace is the namespace of the one KubeVirt object.
	Namespace string
}

// Configuration returns spec.configuration of the KubeVirt object, or an error if there is none yet: a machine that was
// started on guesses would have to be restarted.
func (r Reader) Configuration(ctx context.Context) (virtv1.KubeVirtConfiguration, error) {
	var list virtv1.KubeVirtList
	if err := r.Client.List(ctx, &list, client.InNamespace(r.Namespace)); err != nil {
		return virtv1.KubeVirtConfiguration{}, fmt.Errorf("listing KubeVirt objects in namespace %s: %w", r.Namespace, err)
	}
	if len(list.Items) == 0 {
		return virtv1.KubeVirtConfiguration{}, fmt.Errorf("namespace %s has no KubeVirt object yet", r.Namespace)
	}
	config := list.Items[0].Spec.Configuration
	if config.ImagePullPolicy == "" {
		config.ImagePullPolicy = list.Items[0].Spec.ImagePullPolicy
	}
	return config, nil
}
