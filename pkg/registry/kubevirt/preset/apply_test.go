package preset

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func domain(t *testing.T, text string) *virtv1.DomainSpec {
	t.Helper()
	var d virtv1.DomainSpec
	if err := yaml.UnmarshalStrict([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

func newPreset(t *testing.T, name, text string) *virtv1.VirtualMachineInstancePreset {
	t.Helper()
	return &virtv1.VirtualMachineInstancePreset{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns"},
		Spec: virtv1.VirtualMachineInstancePresetSpec{
			Selector: metav1.LabelSelector{MatchLabels: map[string]string{"flavor": "big"}}, Domain: domain(t, text),
		},
	}
}

// TestApply creates instances as they come from users, with the static defaults, beside presets, and looks at the domain as
// it is with its defaults afterwards.
func TestApply(t *testing.T) {
	const applied = "virtualmachinepreset.kubevirt.io/"
	long := strings.Repeat("x", 64)
	for _, tc := range []struct {
		name, sent  string
		labels      map[string]string
		annotations map[string]string
		presets     []*virtv1.VirtualMachineInstancePreset
		// want is what the user could have sent to the same effect.
		want      string
		annotated []string
		warnings  []string
		err       string
	}{
		{name: "an empty instance takes all",
			sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}, resources: {requests: {memory: 1Gi}}, features: {acpi: {enabled: false}},
				firmware: {serial: abc}, clock: {utc: {}, timer: {hpet: {present: false}}}, devices: {watchdog: {name: w, i6300esb: {action: poweroff}}}, ioThreadsPolicy: auto}`)},
			want: `{cpu: {cores: 4}, resources: {requests: {memory: 1Gi}}, features: {acpi: {enabled: false}},
				firmware: {serial: abc}, clock: {utc: {}, timer: {hpet: {present: false}}}, devices: {watchdog: {name: w, i6300esb: {action: poweroff}}}, ioThreadsPolicy: auto}`,
			annotated: []string{applied + "p"}},
		{name: "another label", labels: map[string]string{"flavor": "small"}, sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}}`)}, want: `{}`},
		{name: "an excluded instance", annotations: map[string]string{ExcludeAnnotation: "true"}, sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}}`)}, want: `{}`, annotated: []string{ExcludeAnnotation}},
		{name: "exclusion that is off", annotations: map[string]string{ExcludeAnnotation: "false"}, sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}}`)}, want: `{cpu: {cores: 4}}`, annotated: []string{ExcludeAnnotation, applied + "p"}},
		{name: "the instance's own stays", sent: `{cpu: {cores: 2}}`,
			presets:  []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}}`)},
			want:     `{cpu: {cores: 2}}`,
			warnings: []string{"Unable to apply VirtualMachineInstancePreset 'p': the instance has its own domain.cpu"}},
		{name: "a part of a preset", sent: `{cpu: {cores: 2}}`,
			presets:   []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}, resources: {requests: {memory: 1Gi}}}`)},
			want:      `{cpu: {cores: 2}, resources: {requests: {memory: 1Gi}}}`,
			annotated: []string{applied + "p"},
			warnings:  []string{"Some settings were not applied for VirtualMachineInstancePreset 'p': the instance has its own domain.cpu"}},
		{name: "the same twice", sent: `{cpu: {cores: 4}, resources: {requests: {cpu: "2"}}}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}}`)},
			want:    `{cpu: {cores: 4}, resources: {requests: {cpu: "2"}}}`, annotated: []string{applied + "p"}},
		{name: "a CPU that only has what other features need", sent: `{features: {hyperv: {evmcs: {}}}}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}}`)},
			want:    `{cpu: {cores: 4}, features: {hyperv: {evmcs: {}}}}`, annotated: []string{applied + "p"}},
		{name: "CPUs follow a preset's request", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{resources: {requests: {cpu: "3"}}}`)},
			want:    `{resources: {requests: {cpu: "3"}}}`, annotated: []string{applied + "p"}},
		{name: "requests that limits make are no wish", sent: `{resources: {limits: {memory: 2Gi}}}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{resources: {requests: {memory: 1Gi}}}`)},
			want:    `{memory: {guest: 2Gi}, resources: {limits: {memory: 2Gi}, requests: {memory: 1Gi}}}`, annotated: []string{applied + "p"}},
		{name: "limits", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{resources: {limits: {memory: 1Gi, cpu: "2"}}}`)},
			want:    `{resources: {limits: {memory: 1Gi, cpu: "2"}}}`, annotated: []string{applied + "p"}},
		{name: "requests and limits", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{resources: {requests: {memory: 512Mi}, limits: {memory: 1Gi}}}`)},
			want:    `{resources: {requests: {memory: 512Mi}, limits: {memory: 1Gi}}}`, annotated: []string{applied + "p"}},
		{name: "limits beside the instance's requests", sent: `{resources: {requests: {memory: 512Mi}}}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{resources: {limits: {memory: 1Gi}}}`)},
			want:    `{memory: {guest: 512Mi}, resources: {requests: {memory: 512Mi}, limits: {memory: 1Gi}}}`, annotated: []string{applied + "p"}},
		{name: "limits below the instance's requests", sent: `{resources: {requests: {memory: 2Gi}}}`,
			presets:  []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{resources: {limits: {memory: 1Gi}}}`)},
			want:     `{resources: {requests: {memory: 2Gi}}}`,
			warnings: []string{"Unable to apply VirtualMachineInstancePreset 'p': the instance has its own domain.resources.requests"}},
		{name: "limits of the instance's own", sent: `{resources: {limits: {memory: 2Gi}}}`,
			presets:   []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}, resources: {limits: {memory: 4Gi}}}`)},
			want:      `{cpu: {cores: 4}, resources: {limits: {memory: 2Gi}}}`,
			annotated: []string{applied + "p"},
			warnings:  []string{"Some settings were not applied for VirtualMachineInstancePreset 'p': the instance has its own domain.resources.limits"}},
		{name: "limits that contradict each other", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "b", `{resources: {limits: {memory: 1Gi}}}`), newPreset(t, "a", `{resources: {limits: {memory: 2Gi}}}`)},
			want:    `{}`, err: "VirtualMachinePresets cannot be applied due to conflicts: presets 'b' and 'a' conflict: domain.resources.limits"},
		{name: "what presets do not give", sent: `{}`,
			presets:   []*virtv1.VirtualMachineInstancePreset{newPreset(t, "p", `{cpu: {cores: 4}, memory: {guest: 1Gi}, devices: {rng: {}}}`)},
			want:      `{cpu: {cores: 4}}`,
			annotated: []string{applied + "p"},
			warnings:  []string{"Some settings were not applied for VirtualMachineInstancePreset 'p': presets do not give domain.devices, domain.memory"}},
		{name: "two that go together", sent: `{clock: {timezone: Europe/Prague}}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "a", `{cpu: {cores: 4}}`), newPreset(t, "b", `{clock: {timer: {hpet: {present: false}}}}`)},
			want:    `{cpu: {cores: 4}, clock: {timezone: Europe/Prague, timer: {hpet: {present: false}}}}`, annotated: []string{applied + "a", applied + "b"}},
		{name: "requests of different resources", sent: `{}`,
			presets:   []*virtv1.VirtualMachineInstancePreset{newPreset(t, "a", `{resources: {requests: {cpu: "3"}}}`), newPreset(t, "b", `{resources: {requests: {memory: 1Gi}}}`)},
			want:      `{resources: {requests: {cpu: "3"}}}`,
			annotated: []string{applied + "a"},
			warnings:  []string{"Unable to apply VirtualMachineInstancePreset 'b': the instance has its own domain.resources.requests"}},
		{name: "two that contradict each other", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "b", `{cpu: {cores: 4}}`), newPreset(t, "a", `{cpu: {cores: 2}}`)},
			want:    `{}`, err: "VirtualMachinePresets cannot be applied due to conflicts: presets 'b' and 'a' conflict: domain.cpu"},
		{name: "two that say the same in other words", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, "a", `{cpu: {cores: 4}}`), newPreset(t, "b", `{cpu: {cores: 4, sockets: 1, threads: 1}}`)},
			want:    `{cpu: {cores: 4}}`, annotated: []string{applied + "a", applied + "b"}},
		{name: "a name too long for an annotation", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{newPreset(t, long, `{cpu: {cores: 4}}`)}, want: `{cpu: {cores: 4}}`},
		{name: "a preset without a domain", sent: `{}`,
			presets: []*virtv1.VirtualMachineInstancePreset{{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: virtv1.VirtualMachineInstancePresetSpec{Selector: metav1.LabelSelector{MatchLabels: map[string]string{"flavor": "big"}}}}}, want: `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			labels := tc.labels
			if labels == nil {
				labels = map[string]string{"flavor": "big"}
			}
			vmi := &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: labels, Annotations: tc.annotations}, Spec: virtv1.VirtualMachineInstanceSpec{Domain: *domain(t, tc.sent)}}
			virtv1.SetDefaults_VirtualMachineInstance(vmi)
			var before []*virtv1.VirtualMachineInstancePreset
			for _, p := range tc.presets {
				before = append(before, p.DeepCopy())
			}
			warnings, err := Apply(vmi, tc.presets)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			virtv1.SetDefaults_VirtualMachineInstance(vmi)
			want := &virtv1.VirtualMachineInstance{Spec: virtv1.VirtualMachineInstanceSpec{Domain: *domain(t, tc.want)}}
			virtv1.SetDefaults_VirtualMachineInstance(want)
			if diff := cmp.Diff(asText(t, want.Spec.Domain), asText(t, vmi.Spec.Domain)); diff != "" {
				t.Errorf("domain (-want +got):\n%s", diff)
			}
			annotations := map[string]string{}
			for _, key := range tc.annotated {
				annotations[key] = "kubevirt.io/v1"
				if v, ok := tc.annotations[key]; ok {
					annotations[key] = v
				}
			}
			if len(annotations)+len(vmi.Annotations) > 0 {
				if diff := cmp.Diff(annotations, vmi.Annotations); diff != "" {
					t.Errorf("annotations (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(before, tc.presets); diff != "" {
				t.Errorf("the presets were changed:\n%s", diff)
			}
		})
	}
}

func asText(t *testing.T, d virtv1.DomainSpec) string {
	t.Helper()
	out, err := yaml.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
