package v1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// TestForms has each way to write an address, and its one form; what cannot be read stays.
func TestForms(t *testing.T) {
	for in, want := range map[string]string{
		"10.10.010.0/24": "10.10.10.0/24", "010.0.02.000/24": "10.0.2.0/24", "10.0.2.0/024": "10.0.2.0/24", "10.0.2.0/24": "10.0.2.0/24", "fd10:0:2::/120": "fd10:0:2::/120",
		"FD10:0000:0002::/120": "fd10:0:2::/120", "10.0.2.0": "10.0.2.0", "10..2.0/24": "10..2.0/24", "10.0.2.0/33": "10.0.2.0/33", "10.0.2.0/-1": "10.0.2.0/-1",
		"256.0.0.0/8": "256.0.0.0/8", "0x0a.0.0.0/8": "0x0a.0.0.0/8", "/24": "/24", "": "",
	} {
		got := in
		if canonical(&got, ParseCIDR); got != want {
			t.Errorf("CIDR %q becomes %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"010.000.0.1": "10.0.0.1", "1.1.1.1": "1.1.1.1", "0.0.0.0": "0.0.0.0", "1.1.1": "1.1.1", "FE80::01": "fe80::1", "fe80::1%eth0": "fe80::1%eth0", "one": "one", "1.1.1.1.": "1.1.1.1.",
	} {
		got := in
		if canonical(&got, ParseIP); got != want {
			t.Errorf("address %q becomes %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"DE:AD:BE:EF:00:01": "de:ad:be:ef:00:01", "de-ad-be-ef-00-01": "de:ad:be:ef:00:01", "dead.beef.0001": "de:ad:be:ef:00:01",
		"dead.beef": "dead.beef", "de:ad:be:ef:00:00:00:01": "de:ad:be:ef:00:00:00:01", "deadbeef0001": "de:ad:be:ef:00:01",
	} {
		got := in
		if canonical(&got, ParseMAC); got != want {
			t.Errorf("MAC %q becomes %q, want %q", in, got, want)
		}
	}
}

// TestInstancesHaveOneForm fills in the defaults of an instance that writes its addresses in other forms.
func TestInstancesHaveOneForm(t *testing.T) {
	servers := []string{"010.0.0.1"}
	vmi := &VirtualMachineInstance{Spec: VirtualMachineInstanceSpec{
		DNSConfig: &corev1.PodDNSConfig{Nameservers: servers},
		Networks:  []Network{{Name: "a", Pod: &PodNetwork{VMNetworkCIDR: "10.10.010.0/24", VMIPv6NetworkCIDR: "FD10::/64"}}},
		Domain: DomainSpec{
			Memory:  &Memory{Hugepages: &Hugepages{PageSize: "2048Ki"}},
			Devices: Devices{Interfaces: []Interface{{Name: "a", MACAddress: "dead.beef.0001", DHCPOptions: &DHCPOptions{NTPServers: []string{"127.000.0.1"}}}}},
		},
	}}
	for range 2 {
		SetDefaults_VirtualMachineInstance(vmi)
		i := vmi.Spec.Domain.Devices.Interfaces[0]
		got := []string{vmi.Spec.DNSConfig.Nameservers[0], vmi.Spec.Networks[0].Pod.VMNetworkCIDR, vmi.Spec.Networks[0].Pod.VMIPv6NetworkCIDR, vmi.Spec.Domain.Memory.Hugepages.PageSize, i.MACAddress, i.DHCPOptions.NTPServers[0]}
		if diff := cmp.Diff([]string{"10.0.0.1", "10.10.10.0/24", "fd10::/64", "2Mi", "de:ad:be:ef:00:01", "127.0.0.1"}, got); diff != "" {
			t.Error(diff)
		}
	}
	if servers[0] != "010.0.0.1" {
		t.Error("a list that another object may share was written to")
	}
}
