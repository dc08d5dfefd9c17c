package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/node/network"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

// Network plumbs the network namespace of a pod.
type Network interface {
	// Apply brings the namespace at path to the plan.
	Apply(ctx context.Context, path string, plan *network.Plan) (network.Result, error)
	// Dial connects by "tcp" or "udp" from inside the namespace at path.
	Dial(ctx context.Context, path, protocol string, to netip.AddrPort) (net.Conn, error)
}

// PodNetwork is the Network of a real node.
type PodNetwork struct{}

// Apply brings the namespace at path to the plan.
func (PodNetwork) Apply(ctx context.Context, path string, plan *network.Plan) (network.Result, error) {
	return network.Apply(ctx, path, plan)
}

// Dial connects from inside the namespace at path.
func (PodNetwork) Dial(ctx context.Context, path, protocol string, to netip.AddrPort) (net.Conn, error) {
	return network.Dial(ctx, path, protocol, to)
}

// Process is the launcher's process as far as a start needs it.
type Process interface {
	// OwnDevices gives the pod's device nodes to user and group and says which there are.
	OwnDevices(user, group int) (pod.Devices, error)
	// NetworkNamespace opens the pod's network namespace.
	NetworkNamespace() (*os.File, error)
	// ReadFile reads a file of the pod as the pod sees it.
	ReadFile(name string, limit int64) ([]byte, error)
	Close()
}

// Pods reaches launcher pods.
type Pods interface {
	// Dial connects to a socket of a pod and checks who answers.
	Dial(ctx context.Context, pod types.UID, socket string) (net.Conn, Process, error)
}

// NodePods is the Pods of a real node.
type NodePods struct{ *pod.Pods }

// Dial connects to a socket of a pod and checks who answers.
func (p NodePods) Dial(ctx context.Context, uid types.UID, socket string) (net.Conn, Process, error) {
	conn, process, err := p.Pods.Dial(ctx, uid, socket)
	if err != nil {
		return nil, nil, err // not a nil *pod.Process in a Process
	}
	return conn, process, nil
}

// sync hands the instance to the launcher: it starts the guest, or brings one that runs to the instance's spec. It runs as
// the session's operation; each step may be repeated.
func (a *Agent) sync(ctx context.Context, s *session, vmi *virtv1.VirtualMachineInstance) {
	began := a.clock.Now()
	state, err := a.trySync(ctx, s, vmi)
	f := failureOf(err)
	log := klog.FromContext(ctx)
	s.change(func() {
		s.start.failure, s.start.tried = f, vmi.Generation
		if f == nil {
			s.start.generation, s.start.tries = vmi.Generation, 0
			return
		}
		s.start.tries++
		s.start.retryAt = a.clock.Now().Add(backoff(s.start.tries))
	})
	if f != nil {
		syncFailures.WithLabelValues(f.reason).Inc()
		log.Info("Could not hand the instance to its launcher", "reason", f.reason, "err", f.message, "final", f.final)
		return
	}
	syncDuration.Observe(a.clock.Since(began).Seconds())
	log.V(2).Info("Handed the instance to its launcher", "generation", vmi.Generation, "took", a.clock.Since(began))
	s.took(state)
}

func (a *Agent) trySync(ctx context.Context, s *session, vmi *virtv1.VirtualMachineInstance) (*launcher.Event, error) {
	devices, err := s.process.OwnDevices(int(machine.QEMUUser), int(machine.QEMUGroup))
	if err != nil {
		return nil, &stepError{ReasonDevicesUnavailable, err}
	}
	config, err := a.configuration()
	if err != nil {
		return nil, err
	}
	plan, err := network.PlanFor(vmi)
	if err != nil {
		return nil, err
	}
	request := &launcher.SyncRequest{Options: &launcher.SyncOptions{
		// The pod has the device if virt-controller asked for it, by the configuration of that moment.
		Emulation:           !devices.KVM,
		ImageSizeLimitBytes: a.options.ImageSizeLimit,
		DefaultMachineType:  machineType(config, vmi.Spec.Architecture),
	}}
	if plan != nil {
		result, err := a.plumb(ctx, s.process, plan)
		if err != nil {
			return nil, err
		}
		// Before the guest runs, so that the status that says so has its addresses.
		s.change(func() { s.start.network = &result })
		request.Options.Interfaces = []*launcher.InterfaceOptions{interfaceOptions(vmi, plan, result, devices)}
	}
	if request.Options.CloudInit, err = a.secrets.CloudInit(ctx, vmi, s.process); err != nil {
		return nil, &stepError{launcher.ReasonSecretMissing, err}
	}
	sent := vmi.DeepCopy()
	sent.SetGroupVersionKind(virtv1.SchemeGroupVersion.WithKind("VirtualMachineInstance"))
	sent.ManagedFields = nil
	if request.Vmi, err = json.Marshal(sent); err != nil {
		return nil, fmt.Errorf("encoding the instance: %w", err)
	}
	response, err := s.client.Sync(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetState(), nil
}

func (a *Agent) plumb(ctx context.Context, process Process, plan *network.Plan) (network.Result, error) {
	namespace, err := process.NetworkNamespace()
	if err != nil {
		return network.Result{}, &stepError{launcher.ReasonNetworkUnavailable, err}
	}
	defer namespace.Close()
	result, err := a.network.Apply(ctx, fmt.Sprintf("/proc/self/fd/%d", namespace.Fd()), plan)
	if err != nil {
		return network.Result{}, &stepError{launcher.ReasonNetworkUnavailable, fmt.Errorf("connecting the guest to the pod's network: %w", err)}
	}
	return result, nil
}

func interfaceOptions(vmi *virtv1.VirtualMachineInstance, plan *network.Plan, found network.Result, devices pod.Devices) *launcher.InterfaceOptions {
	iface := &vmi.Spec.Domain.Devices.Interfaces[0]
	return &launcher.InterfaceOptions{
		Name:        plan.Interface,
		Tap:         network.Tap,
		Bridge:      network.Bridge,
		Mac:         iface.MACAddress,
		Mtu:         uint32(found.MTU),
		GuestIpv4:   plan.Guest4.String(),
		GatewayIpv4: plan.Gateway4.Addr().String(),
		Queues:      1,
		Vhost:       devices.KVM && devices.VhostNet && (iface.Model == "" || iface.Model == "virtio"),
	}
}

// machineType is the cluster's default, the architecture's before the common one.
func machineType(config virtv1.KubeVirtConfiguration, architecture string) string {
	if arch := config.ArchitectureConfiguration; arch != nil && arch.Amd64 != nil && (architecture == "" || architecture == "amd64") && arch.Amd64.MachineType != "" {
		return arch.Amd64.MachineType
	}
	return config.MachineType
}
