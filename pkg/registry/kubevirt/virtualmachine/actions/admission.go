package actions

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// admitter asks the server's admission about the machine that an action changes, as if its user had sent the change.
type admitter struct {
	chain   admission.Interface
	objects admission.ObjectInterfaces
}

func newAdmitter(scheme *runtime.Scheme, chain admission.Interface) admitter {
	return admitter{chain, admission.NewObjectInterfacesFromScheme(scheme)}
}

func (a admitter) attributes(ctx context.Context, name string, obj, old runtime.Object, dryRun []string) admission.Attributes {
	user, _ := genericapirequest.UserFrom(ctx)
	return admission.NewAttributesRecord(obj, old, virtv1.SchemeGroupVersion.WithKind("VirtualMachine"), genericapirequest.NamespaceValue(ctx), name,
		virtv1.SchemeGroupVersion.WithResource("virtualmachines"), "", admission.Update, &metav1.UpdateOptions{DryRun: dryRun}, len(dryRun) > 0, user)
}

func (a admitter) mutate(name string, dryRun []string) rest.TransformFunc {
	return func(ctx context.Context, obj, old runtime.Object) (runtime.Object, error) {
		chain, ok := a.chain.(admission.MutationInterface)
		if !ok || !chain.Handles(admission.Update) {
			return obj, nil
		}
		return obj, chain.Admit(ctx, a.attributes(ctx, name, obj, old, dryRun), a.objects)
	}
}

func (a admitter) validate(ctx context.Context, name string, dryRun []string) rest.ValidateObjectUpdateFunc {
	if a.chain == nil {
		return rest.ValidateAllObjectUpdateFunc
	}
	return rest.AdmissionToValidateObjectUpdateFunc(a.chain, a.attributes(ctx, name, nil, nil, dryRun), a.objects)
}
