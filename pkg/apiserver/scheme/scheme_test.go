package scheme

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestStorageCodec(t *testing.T) {
	codec, _, err := StorageCodec()
	if err != nil {
		t.Fatal(err)
	}
	vm := &virtv1.VirtualMachine{}
	vm.Name = "a"
	vm.Spec.Template = &virtv1.VirtualMachineInstanceTemplateSpec{}
	stored, err := runtime.Encode(codec, vm.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(stored, []byte("k8s\x00")) || !bytes.Contains(stored, []byte("kubevirt.io/v1")) {
		t.Errorf("stored as %q", stored)
	}
	obj, err := runtime.Decode(codec, stored)
	if err != nil {
		t.Fatal(err)
	}
	got := obj.(*virtv1.VirtualMachine)
	got.APIVersion, got.Kind = "", ""
	if diff := cmp.Diff(vm, got); diff != "" {
		t.Errorf("(-stored +read):\n%s", diff)
	}
	// What another version, or an administrator with etcdctl, wrote as JSON is read too.
	old := []byte(`{"apiVersion":"kubevirt.io/v1alpha3","kind":"VirtualMachine","metadata":{"name":"a"},"spec":{"template":{"spec":{"domain":{"devices":{}}}}}}`)
	if obj, err := runtime.Decode(codec, old); err != nil || obj.(*virtv1.VirtualMachine).Name != "a" {
		t.Errorf("%v, error %v", obj, err)
	}
}

func TestEveryKindInEveryVersion(t *testing.T) {
	for _, obj := range virtv1.KnownTypes() {
		kinds, _, err := Scheme.ObjectKinds(obj)
		if err != nil {
			t.Fatal(err)
		}
		if kinds[0].GroupVersion() != virtv1.SchemeGroupVersion {
			t.Errorf("%T stands first under %v", obj, kinds[0])
		}
		for _, gv := range []string{"kubevirt.io/v1", "kubevirt.io/v1alpha3", "kubevirt.io/__internal"} {
			found := false
			for _, k := range kinds {
				found = found || k.GroupVersion().String() == gv
			}
			if !found {
				t.Errorf("%T is not registered in %s", obj, gv)
			}
		}
	}
}
