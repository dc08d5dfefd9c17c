package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// PortDialer connects to a port of a guest by "tcp" or "udp".
type PortDialer func(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pod types.UID, protocol string, port uint16) (net.Conn, error)

// portforward relays to a port of the guest, from inside its pod: no policy of the pod network stands between, as none does
// for ports of pods.
func (s *Server) portforward(w http.ResponseWriter, r *http.Request) {
	protocol := r.PathValue("protocol")
	if protocol == "" {
		protocol = "tcp"
	}
	port, err := strconv.ParseUint(r.PathValue("port"), 10, 16)
	switch {
	case err != nil || port == 0:
		fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("port %q must be a number from 1 to 65535", r.PathValue("port"))))
		return
	case protocol != "tcp" && protocol != "udp":
		fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("protocol %q must be tcp or udp", protocol)))
		return
	}
	s.stream(w, r, streamSpec{kind: typePortForward, turn: s.shared, form: form{packets: protocol == "udp", halves: protocol == "tcp"},
		may: func(vmi *virtv1.VirtualMachineInstance) error {
			if paused(vmi) {
				return conflict(vmi, errors.New("VMI is paused"))
			}
			return nil
		},
		dial: func(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pod types.UID, _ *turn) (net.Conn, error) {
			conn, err := s.ways.Port(ctx, vmi, pod, protocol, uint16(port))
			return conn, dialError(fmt.Sprintf("dialing VM: port %d/%s", port, protocol), err)
		}})
}

func paused(vmi *virtv1.VirtualMachineInstance) bool {
	for _, c := range vmi.Status.Conditions {
		if c.Type == virtv1.VirtualMachineInstancePaused {
			return c.Status != corev1.ConditionFalse
		}
	}
	return false
}

// lostPacket tells an error of one datagram, which others may follow with more luck, from one of the connection.
func lostPacket(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.EPERM)
}
