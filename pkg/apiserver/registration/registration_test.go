package registration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiversion "k8s.io/apimachinery/pkg/version"
	discoveryfake "k8s.io/client-go/discovery/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/fake"
	"k8s.io/utils/ptr"
)

func registrar(t *testing.T, crds []string, services ...runtime.Object) *Registrar {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var objects []runtime.Object
	for _, name := range crds {
		objects = append(objects, &metav1.PartialObjectMetadata{
			TypeMeta:   metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
			ObjectMeta: metav1.ObjectMeta{Name: name},
		})
	}
	return &Registrar{
		Kubernetes: &discoveryfake.FakeDiscovery{Fake: &clienttesting.Fake{}, FakedServerVersion: &apiversion.Info{GitVersion: "v1.37.2"}},
		Services:   fake.NewClientset(services...).ApiregistrationV1().APIServices(),
		Metadata:   metadatafake.NewSimpleMetadataClient(scheme, objects...),
		Versions:   []schema.GroupVersion{{Group: "kubevirt.io", Version: "v1"}},
		Namespace:  "kubevirt", Service: "virt-api",
	}
}

func TestSupported(t *testing.T) {
	for _, tc := range []struct{ has, want string }{
		{"v1.35.0", ""},
		{"v1.37.2+vendor.1", ""},
		{"v2.0.0", ""},
		{"v1.34.9", "this Kubernetes is too old: it is v1.34.9, and Virtplane needs 1.35 or newer, which mounts container disks as image volumes: upgrade the cluster first"},
		{"unknown", `reading the version of Kubernetes: could not parse "unknown" as version`},
	} {
		t.Run(tc.has, func(t *testing.T) {
			r := registrar(t, nil)
			r.Kubernetes.(*discoveryfake.FakeDiscovery).FakedServerVersion.GitVersion = tc.has
			for _, err := range []error{r.Supported(), r.Check(t.Context())} {
				// Check goes on to look for the APIService, which is not there.
				if tc.want == "" && err != nil && !strings.Contains(err.Error(), "APIService") || tc.want != "" && (err == nil || err.Error() != tc.want) {
					t.Errorf("error %v, want %s", err, tc.want)
				}
			}
		})
	}
}

func TestForeign(t *testing.T) {
	for _, tc := range []struct {
		name string
		crds []string
		want string
	}{
		{name: "none"},
		{name: "of other groups", crds: []string{"virtualmachines.example.com", "datavolumes.cdi.kubevirt.io"}},
		{name: "of ours", crds: []string{"virtualmachines.kubevirt.io", "a.example.com", "kubevirts.kubevirt.io"},
			want: "another installation owns the API group: kubevirts.kubevirt.io, virtualmachines.kubevirt.io: take its objects out first (kubectl get -A -o yaml), uninstall it, and delete what is left with: kubectl delete crd kubevirts.kubevirt.io virtualmachines.kubevirt.io"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := registrar(t, tc.crds).Foreign(t.Context())
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want || !errors.Is(err, ErrForeign)) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestSync(t *testing.T) {
	from := func(change func(*apiregistrationv1.APIService)) *apiregistrationv1.APIService {
		s := &apiregistrationv1.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: "v1.kubevirt.io", Labels: map[string]string{"kept": "yes"}},
			Spec: apiregistrationv1.APIServiceSpec{
				Group: "kubevirt.io", Version: "v1", GroupPriorityMinimum: 7, VersionPriority: 8,
				Service:  &apiregistrationv1.ServiceReference{Namespace: "kubevirt", Name: "virt-api", Port: ptr.To(int32(443))},
				CABundle: []byte("new"),
			},
		}
		change(s)
		return s
	}
	good := from(func(*apiregistrationv1.APIService) {})
	for _, tc := range []struct {
		name   string
		before *apiregistrationv1.APIService
	}{
		{"an old bundle", from(func(s *apiregistrationv1.APIService) { s.Spec.CABundle = []byte("old") })},
		{"not verified", from(func(s *apiregistrationv1.APIService) { s.Spec.CABundle, s.Spec.InsecureSkipTLSVerify = nil, true })},
		{"served by kube-apiserver itself", from(func(s *apiregistrationv1.APIService) { s.Spec.CABundle, s.Spec.Service = nil, nil })},
		{"as it should be", good},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := registrar(t, nil, tc.before)
			if err := r.Sync(t.Context(), []byte("new")); err != nil {
				t.Fatal(err)
			}
			got, err := r.Services.Get(t.Context(), "v1.kubevirt.io", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got.ManagedFields = nil
			if diff := cmp.Diff(good.Spec, got.Spec); diff != "" || got.Labels["kept"] != "yes" {
				t.Errorf("labels %v, spec (-want +got):\n%s", got.Labels, diff)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		r := registrar(t, nil)
		if err := r.Sync(t.Context(), []byte("new")); err != nil {
			t.Fatal(err)
		}
		got, err := r.Services.Get(t.Context(), "v1.kubevirt.io", metav1.GetOptions{})
		if err != nil || string(got.Spec.CABundle) != "new" || got.Spec.GroupPriorityMinimum == 0 || got.Spec.VersionPriority == 0 {
			t.Errorf("%v, error %v", got, err)
		}
	})
}

func TestAnnounce(t *testing.T) {
	r := registrar(t, nil)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	if err := r.Announce(t.Context(), now); err != nil {
		t.Errorf("without APIServices: %v", err)
	}
	if err := r.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Announce(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	got, err := r.Services.Get(t.Context(), "v1.kubevirt.io", metav1.GetOptions{})
	if err != nil || !strings.HasPrefix(got.Annotations["virtplane.io/ready-at"], "2026-11-22T12:00:00") {
		t.Errorf("annotations %v, error %v", got.Annotations, err)
	}
}
