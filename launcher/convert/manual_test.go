package convert

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/spec"
)

// TestManual makes machines of what the manual prints. What it leaves out, such as memory, is put beside it.
func TestManual(t *testing.T) {
	for _, tc := range []struct {
		file string
		rows []string
		// below is the field of a VirtualMachine's template that the file is the content of; empty: the file is whole.
		below string
		want  []string
	}{
		{"p2-10.18.4.2-vm-uefi-secureboot.yaml", []string{"P2-EFI-06"}, "",
			[]string{"smm=on,pflash0=pflash0,pflash1=pflash1", "driver=cfi.pflash01,property=secure,value=on", `"driver":"virtio-blk-pci-non-transitional","id":"disk-containerdisk"`}},
		{"p2-10.16.2-vm-vtpm.yaml", nil, "", []string{`"driver":"tpm-tis"`}},
		{"p2-10.18.12.2-vm-watchdog.yaml", nil, "", []string{`"driver":"i6300esb"`, "watchdog=poweroff"}},
		{"p2-10.18.8.2-vm-cpu-feature-policy.yaml", nil, "", []string{"\nmax,apic=on\n"}},
		{"p2-10.18.8.3-vm-cpu-model.yaml", nil, "", []string{"-cpu\nConroe\n"}},
		{"p2-frag-10.14.3-vm-virtio-win-cdrom.yaml", []string{"P2-VIRTIOWIN-03"}, "template",
			[]string{`{"driver":"ide-cd","id":"disk-virtiocontainerdisk","bus":"ide.0","drive":"disk-virtiocontainerdisk","bootindex":2`}},
		{"p1-frag-10.3.3-bootorder-devices.yaml", []string{"P1-BOOT-08"}, "devices",
			[]string{`"id":"disk-containerdisk","addr":"0x5","drive":"disk-containerdisk","bootindex":1`, `"driver":"virtio-blk-pci-non-transitional","id":"disk-cd-drive-1"`, `"node-name":"disk-cd-drive-1","read-only":true`, `"mac":"02:96:c4:00:00:01","host_mtu":1400,"bootindex":2`}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			if len(tc.rows) > 0 {
				spec.Covers(t, tc.rows...)
			}
			vmi := manual(t, tc.file, tc.below)
			raw, err := json.Marshal(vmi)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckFields(raw); err != nil {
				t.Fatal(err)
			}
			r, err := Machine(input(t, vmi, true))
			if err != nil {
				t.Fatal(err)
			}
			args, err := r.Machine.Args()
			if err != nil {
				t.Fatal(err)
			}
			line := strings.Join(args, "\n")
			for _, want := range tc.want {
				if !strings.Contains(line, want) {
					t.Errorf("command line lacks %s:\n%s", want, line)
				}
			}
		})
	}
}

// manual reads an instance out of a file of the manual.
func manual(t *testing.T, file, below string) *virtv1.VirtualMachineInstance {
	t.Helper()
	data, err := spec.Manifest(file)
	if err != nil {
		t.Fatal(err)
	}
	vm := &virtv1.VirtualMachine{Spec: virtv1.VirtualMachineSpec{Template: &virtv1.VirtualMachineInstanceTemplateSpec{}}}
	var to any = vm
	switch below {
	case "template":
		to = vm.Spec.Template
	case "devices":
		to = &vm.Spec.Template.Spec.Domain.Devices
	}
	if err := yaml.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
	vmi := &virtv1.VirtualMachineInstance{Spec: vm.Spec.Template.Spec}
	vmi.Name, vmi.Namespace = "testvm", "default"
	s := &vmi.Spec
	if s.Domain.Memory == nil && s.Domain.Resources.Requests == nil {
		s.Domain.Memory = &virtv1.Memory{Guest: ptr.To(resource.MustParse("1Gi"))}
	}
	if w := s.Domain.Devices.Watchdog; w != nil {
		w.Name = "dog" // a placeholder
	}
	for i := range s.Domain.Devices.Interfaces {
		if s.Domain.Devices.Interfaces[i].MACAddress == "02:96:c4:00:00" {
			s.Domain.Devices.Interfaces[i].MACAddress += ":01" // an octet is missing in print
		}
	}
	if len(s.Networks) == 0 && len(s.Domain.Devices.Interfaces) > 0 {
		s.Networks = []virtv1.Network{{Name: "default", Pod: &virtv1.PodNetwork{}}}
	}
	if len(s.Volumes) == 0 {
		for _, d := range s.Domain.Devices.Disks {
			s.Volumes = append(s.Volumes, virtv1.Volume{Name: d.Name, ContainerDisk: &virtv1.ContainerDiskSource{Image: "i:1"}})
		}
	}
	virtv1.SetDefaults_VirtualMachineInstance(vmi)
	return vmi
}
