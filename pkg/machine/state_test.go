package machine

import (
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestStateClaimName(t *testing.T) {
	long := strings.Repeat("a", 240)
	for name, want := range map[string]string{"web": "persistent-state-for-web", "a.b-c": "persistent-state-for-a.b-c"} {
		if got := StateClaimName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	a, b := StateClaimName(long+"b"), StateClaimName(long+"c")
	if a == b || len(a) > 253 || !strings.HasPrefix(a, "persistent-state-for-aaa") {
		t.Errorf("%s and %s", a, b)
	}
}

func TestKeepsState(t *testing.T) {
	tpm := func(d *virtv1.TPMDevice) *virtv1.VirtualMachineInstanceSpec {
		var s virtv1.VirtualMachineInstanceSpec
		s.Domain.Devices.TPM = d
		return &s
	}
	efi := func(persistent *bool) *virtv1.VirtualMachineInstanceSpec {
		var s virtv1.VirtualMachineInstanceSpec
		s.Domain.Firmware = &virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{Persistent: persistent}}}
		return &s
	}
	for _, tc := range []struct {
		name string
		spec *virtv1.VirtualMachineInstanceSpec
		want bool
	}{
		{"nothing", tpm(nil), false},
		{"a TPM that forgets", tpm(&virtv1.TPMDevice{}), false},
		{"a TPM", tpm(&virtv1.TPMDevice{Persistent: ptr.To(true)}), true},
		{"a TPM that is off", tpm(&virtv1.TPMDevice{Persistent: ptr.To(true), Enabled: ptr.To(false)}), false},
		{"UEFI that forgets", efi(nil), false},
		{"UEFI", efi(ptr.To(true)), true},
	} {
		if got := KeepsState(tc.spec); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
