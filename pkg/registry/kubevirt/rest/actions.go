package rest

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// actionREST serves an action as the creation of its options: POST, so that the verb is create and kubectl create --raw does
// it (decision 4).
type actionREST[T runtime.Object] struct {
	empty func() T
	// run does it; dryRun are the values of the query, which join those of the body.
	run func(ctx context.Context, name string, options T, dryRun []string) error
	// done says what has been accepted.
	done string
}

var _ rest.NamedCreater = &actionREST[*virtv1.StartOptions]{}

func (a *actionREST[T]) New() runtime.Object { return a.empty() }
func (*actionREST[T]) Destroy()              {}

// Create does the action on the object of a name.
func (a *actionREST[T]) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	typed, ok := obj.(T)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the body must be %T, not %T", a.empty(), obj))
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := a.run(ctx, name, typed, options.DryRun); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess, Message: fmt.Sprintf("%s %s", name, a.done)}, nil
}

func (s *Stores) actions() map[string]rest.Storage {
	machines, guests := s.Actions, s.Guests
	return map[string]rest.Storage{
		"virtualmachines/start": &actionREST[*virtv1.StartOptions]{
			empty: func() *virtv1.StartOptions { return &virtv1.StartOptions{} }, done: "is to start",
			run: func(ctx context.Context, name string, o *virtv1.StartOptions, dryRun []string) error {
				o.DryRun = append(o.DryRun, dryRun...)
				return machines.Start(ctx, name, o)
			}},
		"virtualmachines/stop": &actionREST[*virtv1.StopOptions]{
			empty: func() *virtv1.StopOptions { return &virtv1.StopOptions{} }, done: "is to stop",
			run: func(ctx context.Context, name string, o *virtv1.StopOptions, dryRun []string) error {
				o.DryRun = append(o.DryRun, dryRun...)
				return machines.Stop(ctx, name, o)
			}},
		"virtualmachines/restart": &actionREST[*virtv1.RestartOptions]{
			empty: func() *virtv1.RestartOptions { return &virtv1.RestartOptions{} }, done: "is to restart",
			run: func(ctx context.Context, name string, o *virtv1.RestartOptions, dryRun []string) error {
				o.DryRun = append(o.DryRun, dryRun...)
				return machines.Restart(ctx, name, o)
			}},
		"virtualmachineinstances/pause": &actionREST[*virtv1.PauseOptions]{
			empty: func() *virtv1.PauseOptions { return &virtv1.PauseOptions{} }, done: "is paused",
			run: func(ctx context.Context, name string, o *virtv1.PauseOptions, dryRun []string) error {
				o.DryRun = append(o.DryRun, dryRun...)
				return guests.Pause(ctx, name, o)
			}},
		"virtualmachineinstances/unpause": &actionREST[*virtv1.UnpauseOptions]{
			empty: func() *virtv1.UnpauseOptions { return &virtv1.UnpauseOptions{} }, done: "runs on",
			run: func(ctx context.Context, name string, o *virtv1.UnpauseOptions, dryRun []string) error {
				o.DryRun = append(o.DryRun, dryRun...)
				return guests.Unpause(ctx, name, o)
			}},
	}
}

// RequireVerb asks whether the user of a request may also use another verb on what it is for. Without an authorizer the
// verb that came is enough.
func RequireVerb(ctx context.Context, a authorizer.UnconditionalAuthorizer, verb string) error {
	if a == nil {
		return nil
	}
	attributes, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if attributes.GetVerb() == verb {
		return nil // authorized before it came here
	}
	return review(ctx, a, asked{attributes, verb, attributes.GetSubresource()})
}

// RequireSubresource asks whether the user of a request may do it on a subresource whose name has two parts: kube-apiserver
// has looked at the first only (decision 5).
func RequireSubresource(ctx context.Context, a authorizer.UnconditionalAuthorizer, name string) error {
	if a == nil {
		return nil
	}
	attributes, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	return review(ctx, a, asked{attributes, attributes.GetVerb(), name})
}

func review(ctx context.Context, a authorizer.UnconditionalAuthorizer, attributes asked) error {
	verb := attributes.verb
	decision, reason, err := a.Authorize(ctx, attributes)
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("asking whether the user may %s: %w", verb, err))
	}
	resource := schema.GroupResource{Group: attributes.GetAPIGroup(), Resource: attributes.GetResource() + "/" + attributes.GetSubresource()}
	message := fmt.Sprintf("the verb %q is needed on %s: %s", verb, resource, reason)
	return apierrors.NewForbidden(resource, attributes.GetName(), fmt.Errorf("%s", message))
}

// asked is a request with another verb or subresource.
type asked struct {
	authorizer.Attributes
	verb, subresource string
}

func (a asked) GetVerb() string        { return a.verb }
func (a asked) GetSubresource() string { return a.subresource }
