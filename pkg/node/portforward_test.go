package node

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// TestDialPort finds the guest's own address behind its pod's.
func TestDialPort(t *testing.T) {
	l := newLab(t, nil)
	l.serve()
	l.start()
	l.awaitPhase(virtv1.Running)
	for _, tc := range []struct {
		name, protocol string
		change         func(*virtv1.VirtualMachineInstance)
		want, err      string
	}{
		{name: "tcp", protocol: "tcp", want: "tcp 10.0.2.2:22"},
		{name: "udp", protocol: "udp", want: "udp 10.0.2.2:22"},
		{name: "a network of its own", protocol: "tcp", want: "tcp 192.168.7.2:22", change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Networks[0].Pod.VMNetworkCIDR = "192.168.7.0/24"
		}},
		{name: "a pod with IPv6 only", protocol: "tcp", want: "tcp [fd10:0:2::2]:22", change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Status.Interfaces = []virtv1.VirtualMachineInstanceNetworkInterface{{Name: "default", IPAddress: "fd44::7"}}
		}},
		{name: "listed", protocol: "tcp", want: "tcp 10.0.2.2:22", change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Devices.Interfaces[0].Ports = []virtv1.Port{{Port: 80}, {Port: 22, Protocol: "TCP"}}
		}},
		{name: "not listed", protocol: "udp", change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Devices.Interfaces[0].Ports = []virtv1.Port{{Port: 22}}
		}, err: "port 22/udp is not among spec.domain.devices.interfaces[0].ports"},
		{name: "no interface", protocol: "tcp", change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Devices.Interfaces = nil
		}, err: "no network interfaces are present"},
		{name: "another instance of that name", protocol: "tcp", change: func(vmi *virtv1.VirtualMachineInstance) { vmi.UID = "other" }, err: "does not answer"},
		{name: "bridge without an address", protocol: "tcp", change: func(vmi *virtv1.VirtualMachineInstance) {
			vmi.Spec.Domain.Devices.Interfaces[0].Masquerade, vmi.Spec.Domain.Devices.Interfaces[0].Bridge = nil, &virtv1.InterfaceBridge{}
			vmi.Status.Interfaces = nil
		}, err: "the address of interface default is not known"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vmi := l.vmi()
			if tc.change != nil {
				tc.change(vmi)
			}
			l.network.mu.Lock()
			l.network.dialed = nil
			l.network.mu.Unlock()
			conn, err := l.agent.DialPort(t.Context(), vmi, podUID, tc.protocol, 22)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %v, want %q", err, tc.err)
			}
			l.network.mu.Lock()
			defer l.network.mu.Unlock()
			if diff := cmp.Diff(tc.want, strings.Join(l.network.dialed, " ")); diff != "" {
				t.Errorf("dialed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDialBridge reaches a guest that has its pod's address under that.
func TestDialBridge(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	vmi := &virtv1.VirtualMachineInstance{}
	vmi.Spec.Domain.Devices.Interfaces = []virtv1.Interface{{Name: "default", Bridge: &virtv1.InterfaceBridge{}}}
	vmi.Status.Interfaces = []virtv1.VirtualMachineInstanceNetworkInterface{{Name: "default", IPAddress: "127.0.0.1"}}
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	ctx, cancel := context.WithTimeout(t.Context(), waitFor)
	defer cancel()
	conn, err := (&Agent{}).DialPort(ctx, vmi, podUID, "tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
