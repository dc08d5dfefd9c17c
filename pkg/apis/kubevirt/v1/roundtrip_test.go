package v1_test

import (
	"encoding/json"
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/randfill"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// newScheme registers the kinds as the server does: one Go type under each version and the internal one.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(virtv1.AddToScheme(scheme))
	scheme.AddKnownTypes(virtv1.InternalGroupVersion, virtv1.KnownTypes()...)
	scheme.AddKnownTypes(virtv1.DeprecatedGroupVersion, virtv1.KnownTypes()...)
	metav1.AddToGroupVersion(scheme, virtv1.DeprecatedGroupVersion)
	utilruntime.Must(scheme.SetVersionPriority(virtv1.SchemeGroupVersion, virtv1.DeprecatedGroupVersion))
	return scheme
}

// funcs fills objects with random values. Instances come with their defaults: those are filled in whenever one is decoded.
func funcs(serializer.CodecFactory) []any {
	return []any{
		func(vmi *virtv1.VirtualMachineInstance, c randfill.Continue) {
			c.FillNoCustom(vmi)
			virtv1.SetDefaults_VirtualMachineInstance(vmi)
		},
	}
}

// TestRoundTrip takes random objects of every kind through JSON and protobuf, in every version, and wants them back as they
// were.
func TestRoundTrip(t *testing.T) {
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, funcs), rand.NewSource(rand.Int63()), codecs)
	for kind, object := range scheme.KnownTypes(virtv1.InternalGroupVersion) {
		if object.PkgPath() != "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1" {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			for range 5 {
				roundtrip.RoundTripSpecificKind(t, virtv1.InternalGroupVersion.WithKind(kind), scheme, codecs, filler, nil)
			}
		})
	}
}

// TestDefaultsAreIdempotent defaults random instances twice.
func TestDefaultsAreIdempotent(t *testing.T) {
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs), rand.NewSource(rand.Int63()), serializer.NewCodecFactory(newScheme()))
	for range 200 {
		vmi := &virtv1.VirtualMachineInstance{}
		filler.Fill(vmi)
		before := vmi.DeepCopy()
		shared := *vmi // shares maps and lists with vmi
		virtv1.SetDefaults_VirtualMachineInstance(vmi)
		once := vmi.DeepCopy()
		virtv1.SetDefaults_VirtualMachineInstance(vmi)
		if diff := cmp.Diff(once, vmi); diff != "" {
			t.Fatalf("The second time changes more (-once +twice):\n%s", diff)
		}
		if diff := cmp.Diff(before.Spec.Domain.Resources, shared.Spec.Domain.Resources); diff != "" {
			t.Fatalf("Defaults wrote into a map that others may share (-want +got):\n%s", diff)
		}
	}
}

// TestMachinesHaveNoDefaults shows that a VirtualMachine is kept as it was sent: nothing is filled in, not even below its
// template (decision 6).
func TestMachinesHaveNoDefaults(t *testing.T) {
	const sent = `{"metadata":{"name":"a"},"spec":{"template":{"metadata":{"labels":{"a":"b"}},"spec":{"domain":{"cpu":{},"devices":{"disks":[{"name":"a"}],"interfaces":[{"name":"b"}]},"features":{"acpi":{},"hyperv":{"relaxed":{}},"smm":{"enabled":false}},"resources":{}},"volumes":[{"name":"a","containerDisk":{"image":"i"}}]}}}}`
	vm := &virtv1.VirtualMachine{}
	if err := json.Unmarshal([]byte(sent), vm); err != nil {
		t.Fatal(err)
	}
	newScheme().Default(vm)
	vm.TypeMeta = metav1.TypeMeta{}
	got, err := json.Marshal(vm)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal([]byte(sent), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("VirtualMachine (-sent +kept):\n%s", diff)
	}
}

// TestFieldLabels shows which selectors reach the storage.
func TestFieldLabels(t *testing.T) {
	scheme := newScheme()
	for _, version := range []string{"v1", "v1alpha3"} {
		gvk := schema.GroupVersionKind{Group: "kubevirt.io", Version: version, Kind: "VirtualMachineInstance"}
		if label, value, err := scheme.ConvertFieldLabel(gvk, "status.nodeName", "n"); label != "status.nodeName" || value != "n" || err != nil {
			t.Errorf("status.nodeName: %s, %s, %v", label, value, err)
		}
		want := `"spec.hostname" is not a field that a VirtualMachineInstance can be selected by: use metadata.name, metadata.namespace, status.phase, status.nodeName, status.migrationState.targetNode`
		if _, _, err := scheme.ConvertFieldLabel(gvk, "spec.hostname", "n"); err == nil || err.Error() != want {
			t.Errorf("spec.hostname: %v, want %s", err, want)
		}
	}
}
