// Package registration tells kube-apiserver which groups this server serves, and keeps away from groups that another
// installation owns.
//
// It must not touch an APIService of another group.
package registration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
	"k8s.io/utils/ptr"
)

// MinimumKubernetes is the oldest Kubernetes that runs guests: it mounts images as volumes without being asked to by a
// feature gate (decision 22).
var MinimumKubernetes = version.MajorMinor(1, 35)

// Registrar registers the groups.
type Registrar struct {
	Kubernetes         discovery.ServerVersionInterface
	Services           aggregator.APIServiceInterface
	Metadata           metadata.Interface
	Versions           []schema.GroupVersion
	Namespace, Service string
}

// annotation on the APIServices: kube-apiserver looks at once whether a server is there when its APIService changes, and
// otherwise only after up to half a minute.
const readyAnnotation = "virtplane.io/ready-at"

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// ErrForeign is returned when the groups belong to CustomResourceDefinitions.
var ErrForeign = errors.New("another installation owns the API group")

// Foreign returns an error when there are CustomResourceDefinitions of our groups. kube-apiserver would serve those: it
// reverts within seconds whoever puts another APIService in their place.
func (r *Registrar) Foreign(ctx context.Context) error {
	list, err := r.Metadata.Resource(crds).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("looking for CustomResourceDefinitions of our groups: %w", err)
	}
	var found []string
	for _, crd := range list.Items {
		if _, group, ok := strings.Cut(crd.Name, "."); ok && slices.ContainsFunc(r.Versions, func(gv schema.GroupVersion) bool { return gv.Group == group }) {
			found = append(found, crd.Name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return fmt.Errorf("%w: %s: take its objects out first (kubectl get -A -o yaml), uninstall it, and delete what is left with: kubectl delete crd %s",
		ErrForeign, strings.Join(found, ", "), strings.Join(found, " "))
}

// ErrUnsupported is returned when Kubernetes is too old.
var ErrUnsupported = errors.New("this Kubernetes is too old")

// Supported returns an error when Kubernetes is older than MinimumKubernetes: guests would be taken and none would start.
func (r *Registrar) Supported() error {
	info, err := r.Kubernetes.ServerVersion()
	if err != nil {
		return fmt.Errorf("asking Kubernetes for its version: %w", err)
	}
	has, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return fmt.Errorf("reading the version of Kubernetes: %w", err)
	}
	if has.LessThan(MinimumKubernetes) {
		return fmt.Errorf("%w: it is %s, and Virtplane needs %s or newer, which mounts container disks as image volumes: upgrade the cluster first", ErrUnsupported, info.GitVersion, MinimumKubernetes)
	}
	return nil
}

// Check returns nil when our groups are ours: every APIService leads to this server. Otherwise it says what is missing.
func (r *Registrar) Check(ctx context.Context) error {
	if err := r.Supported(); err != nil {
		return err
	}
	for _, gv := range r.Versions {
		s, err := r.Services.Get(ctx, name(gv), metav1.GetOptions{})
		if err == nil && s.Spec.Service != nil && s.Spec.Service.Namespace == r.Namespace && s.Spec.Service.Name == r.Service {
			continue
		}
		if foreign := r.Foreign(ctx); foreign != nil {
			return foreign
		}
		if err != nil {
			return fmt.Errorf("APIService %s is not there yet: %w", name(gv), err)
		}
		return fmt.Errorf("APIService %s does not lead to Service %s/%s", name(gv), r.Namespace, r.Service)
	}
	return nil
}

// Sync creates the APIServices that are missing, and gives all of them the bundle to verify this server with.
func (r *Registrar) Sync(ctx context.Context, bundle []byte) error {
	for i, gv := range r.Versions {
		if err := r.sync(ctx, gv, int32(100-i), bundle); err != nil {
			return fmt.Errorf("registering %s: %w", gv, err)
		}
	}
	return nil
}

func name(gv schema.GroupVersion) string { return gv.Version + "." + gv.Group }

func (r *Registrar) sync(ctx context.Context, gv schema.GroupVersion, priority int32, bundle []byte) error {
	s, err := r.Services.Get(ctx, name(gv), metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	if missing {
		s = &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: name(gv)}}
	}
	want := s.DeepCopy()
	want.Spec.Group, want.Spec.Version = gv.Group, gv.Version
	want.Spec.Service = &apiregistrationv1.ServiceReference{Namespace: r.Namespace, Name: r.Service, Port: ptr.To(int32(443))}
	want.Spec.InsecureSkipTLSVerify = false
	want.Spec.CABundle = bytes.Clone(bundle)
	if want.Spec.GroupPriorityMinimum == 0 {
		want.Spec.GroupPriorityMinimum = 1500
	}
	if want.Spec.VersionPriority == 0 {
		want.Spec.VersionPriority = priority
	}
	switch {
	case missing:
		_, err = r.Services.Create(ctx, want, metav1.CreateOptions{})
	case equality.Semantic.DeepEqual(s.Spec, want.Spec):
		return nil
	default:
		_, err = r.Services.Update(ctx, want, metav1.UpdateOptions{})
	}
	if err == nil {
		klog.FromContext(ctx).Info("Registered", "apiService", want.Name)
	}
	return err
}

// Announce has kube-apiserver look at once whether this server is there.
func (r *Registrar) Announce(ctx context.Context, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{readyAnnotation: now.UTC().Format(time.RFC3339Nano)}}})
	if err != nil {
		return err
	}
	var errs []error
	for _, gv := range r.Versions {
		if _, err := r.Services.Patch(ctx, name(gv), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
