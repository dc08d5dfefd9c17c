package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/node/network"
)

// DialPort connects by "tcp" or "udp" to a port of the first interface of an instance's guest. A guest behind its pod's
// address is reached from inside the pod, where it has an address of its own; others have the address that their status
// tells.
func (a *Agent) DialPort(ctx context.Context, vmi *virtv1.VirtualMachineInstance, uid types.UID, protocol string, port uint16) (net.Conn, error) {
	interfaces := vmi.Spec.Domain.Devices.Interfaces
	if len(interfaces) == 0 {
		return nil, apierrors.NewBadRequest("no network interfaces are present")
	}
	if interfaces[0].Masquerade == nil {
		addr, err := statusAddr(vmi, interfaces[0].Name)
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, protocol, netip.AddrPortFrom(addr, port).String())
	}
	plan, err := network.PlanFor(vmi)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if !plan.Open(protocol, port) {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("port %d/%s is not among spec.domain.devices.interfaces[0].ports: add it there, or leave the list empty to open all", port, protocol))
	}
	guest := plan.Guest4.Addr()
	if addr, err := statusAddr(vmi, interfaces[0].Name); err == nil && addr.Is6() {
		guest = plan.Guest6.Addr() // the pod has no IPv4
	}
	a.mu.Lock()
	s := a.sessions[types.NamespacedName{Namespace: vmi.Namespace, Name: vmi.Name}]
	a.mu.Unlock()
	if s == nil || s.pod != uid || s.vmi != vmi.UID {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("the launcher of %s/%s does not answer: try again", vmi.Namespace, vmi.Name))
	}
	namespace, err := s.process.NetworkNamespace()
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("%v: try again", err))
	}
	defer func() { _ = namespace.Close() }()
	return a.network.Dial(ctx, fmt.Sprintf("/proc/self/fd/%d", namespace.Fd()), protocol, netip.AddrPortFrom(guest, port))
}

// statusAddr is the address under which others know an interface.
func statusAddr(vmi *virtv1.VirtualMachineInstance, name string) (netip.Addr, error) {
	at := slices.IndexFunc(vmi.Status.Interfaces, func(i virtv1.VirtualMachineInstanceNetworkInterface) bool { return i.Name == name })
	if at < 0 || vmi.Status.Interfaces[at].IPAddress == "" {
		return netip.Addr{}, apierrors.NewBadRequest(fmt.Sprintf("the address of interface %s is not known", name))
	}
	addr, err := netip.ParseAddr(vmi.Status.Interfaces[at].IPAddress)
	if err != nil {
		return netip.Addr{}, apierrors.NewInternalError(fmt.Errorf("interface %s: %w", name, err))
	}
	return addr, nil
}
