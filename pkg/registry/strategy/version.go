package strategy

import (
	"context"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Deprecated warns of a request that came through the deprecated version. The versions share their types, so that the
// server's own warning, which goes by type, cannot tell them apart.
func Deprecated(ctx context.Context) []string {
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok || info.APIGroup != virtv1.GroupName || info.APIVersion != virtv1.DeprecatedGroupVersion.Version {
		return nil
	}
	return []string{"kubevirt.io/v1alpha3 is deprecated: use kubevirt.io/v1"}
}
