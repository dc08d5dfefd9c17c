package labeller

import (
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/test/spec"
)

// TestRealQEMU asks the QEMU of this machine, which is that of the launcher's image, and compares with what the manual prints.
func TestRealQEMU(t *testing.T) {
	binary, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("qemu-system-x86_64 is not installed")
	}
	facts, err := Probe(t.Context(), binary, false)
	if err != nil {
		t.Fatal(err)
	}
	features := func(name string) []string {
		var out []string
		for _, m := range facts.Models {
			if m.Name == name {
				if m.Vendor != "GenuineIntel" {
					t.Errorf("%s is of %s", name, m.Vendor)
				}
				for _, f := range m.Features {
					out = append(out, machine.CPUFeature(f))
				}
			}
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(penryn, features("Penryn")); diff != "" {
		t.Errorf("Penryn (-the manual +QEMU):\n%s", diff)
	}
	// QEMU has added features to Haswell since; it must have lost none.
	has := features("Haswell")
	for _, f := range haswell {
		if !slices.Contains(has, f) {
			t.Errorf("Haswell has no %s", f)
		}
	}
	// The features that nodes get no label for are QEMU's, whatever the least model.
	for _, name := range []string{"Penryn", "Nehalem", "Haswell", "Skylake-Server"} {
		base := machine.BaseFeatures(name)
		if diff := cmp.Diff(features(name), slices.Sorted(maps.Keys(base))); diff != "" {
			t.Errorf("%s (-QEMU +ours):\n%s", name, diff)
		}
	}
	for _, m := range facts.Models {
		if versioned.MatchString(m.Name) || m.Name == "host" || m.Name == "max" {
			t.Errorf("model %s", m.Name)
		}
		if m.Name == "Penryn" && !m.Usable || m.Name == "Icelake-Server" && m.Usable {
			t.Errorf("%s usable under emulation: %v", m.Name, m.Usable)
		}
	}
	if !slices.Contains(facts.Machines, "q35") || !slices.Contains(facts.Machines, "pc") || slices.Contains(facts.Machines, "none") || len(facts.Machines) > 8 {
		t.Errorf("machines %v", facts.Machines)
	}
	if len(facts.Host.Features) < len(penryn) || len(facts.Hyperv) != 0 {
		t.Errorf("host %+v, Hyper-V %v", facts.Host, facts.Hyperv)
	}
	spec.Covers(t, "P4-CPU-07", "P4-CPU-08")
}

const greeting = `{"QMP": {"version": {}, "capabilities": []}}` + "\n" + `{"return": {}}` + "\n"

// described is how QEMU describes a model, whole is a conversation from the greeting to the last answer.
const (
	described = `{"return": {"model": {"props": {"aes": true, "hypervisor": true, "avx": false}}}}` + "\n" +
		`{"event": "SOMETHING"}` + "\n" + `{"return": {"model": {"props": {"vendor": "GenuineIntel"}}}}` + "\n"
	whole = greeting + described + `{"return": [{"name": "Haswell-v1"}, {"name": "max"}, {"name": "Haswell", "unavailable-features": ["hle"]}, {"name": "Conroe"}]}` + described + described +
		`{"return": [{"name": "none"}, {"name": "pc-q35-7.2", "alias": "q35"}]}` + `{"return": {"model": {"props": {"hv-synic": true, "hv-stimer": true, "hv-ipi": false, "hv-vendor-id": ""}}}}`
)

func TestAsk(t *testing.T) {
	for _, tc := range []struct {
		name, says, err string
	}{
		{"nothing", "", "waiting for the greeting: EOF"},
		{"another protocol", "{}\n", "no greeting"},
		{"no host", greeting + `{"error": {"class": "GenericError", "desc": "CPU model 'host' requires KVM"}}`, "model host: query-cpu-model-expansion: CPU model 'host' requires KVM"},
		{"an end in the middle", greeting + described, "query-cpu-definitions: reading the answer: EOF"},
		{"no list", greeting + described + `{"return": 7}`, "query-cpu-definitions: decoding the answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := ask(io.Discard, strings.NewReader(tc.says), true); err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
	got, err := ask(io.Discard, strings.NewReader(whole), true)
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{
		Host: Model{Name: "host", Vendor: "GenuineIntel", Features: []string{"aes"}, Usable: true},
		Models: []Model{{Name: "Conroe", Vendor: "GenuineIntel", Features: []string{"aes"}, Usable: true},
			{Name: "Haswell", Vendor: "GenuineIntel", Features: []string{"aes"}}},
		Machines: []string{"pc-q35-7.2", "q35"},
		Hyperv:   []string{"synic", "synictimer"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// TestProbeFails says what is wrong in QEMU's words.
func TestProbeFails(t *testing.T) {
	if _, err := Probe(t.Context(), filepath.Join(t.TempDir(), "qemu"), true); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error %v", err)
	}
	broken := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho failed to initialize kvm >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Probe(t.Context(), broken, true); err == nil || !strings.Contains(err.Error(), "failed to initialize kvm") {
		t.Errorf("error %v", err)
	}
}

func FuzzAsk(f *testing.F) {
	f.Add([]byte(whole), true)
	f.Add([]byte(greeting), true)
	f.Add([]byte(greeting+`{"return": {"model": {"props": {"aes": true}}}}{"return": []}`), false)
	f.Fuzz(func(t *testing.T, says []byte, kvm bool) {
		facts, err := ask(io.Discard, strings.NewReader(string(says)), kvm)
		if err != nil {
			return
		}
		if m := hostModel(&facts); m != nil && (!m.Usable || m.Vendor != facts.Host.Vendor) {
			t.Errorf("a host of %q is said to be the model %+v", facts.Host.Vendor, m)
		}
		for key := range Labels(&facts, &virtv1.KubeVirtConfiguration{}, false) {
			if !own(key) {
				t.Errorf("label %s is not ours", key)
			}
			if errs := validation.IsQualifiedName(key); len(errs) > 0 {
				t.Errorf("label %q: %v", key, errs)
			}
		}
	})
}
