package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

const (
	// subprotocol says that binary frames carry the bytes of the stream and nothing else.
	subprotocol = "plain.kubevirt.io"
	dialTimeout = 10 * time.Second
)

// streamSpec is one kind of stream.
type streamSpec struct {
	// kind is the type in the metric of connections.
	kind string
	// may says what an instance that runs lacks for it.
	may func(*virtv1.VirtualMachineInstance) error
	// turn is the right to the guest's end. It is given back when the stream ends.
	turn func(context.Context, *virtv1.VirtualMachineInstance) (*turn, error)
	// dial connects to the guest; the turn says where, if there is a choice.
	dial func(context.Context, *virtv1.VirtualMachineInstance, types.UID, *turn) (net.Conn, error)
	form form
}

func (s *Server) console(w http.ResponseWriter, r *http.Request) {
	history, _ := strconv.ParseBool(r.URL.Query().Get("history"))
	s.stream(w, r, streamSpec{kind: typeConsole, may: hasConsole, turn: s.exclusive(machine.SerialSocket, false),
		dial: func(ctx context.Context, vmi *virtv1.VirtualMachineInstance, uid types.UID, turn *turn) (net.Conn, error) {
			if history {
				conn, err := s.ways.Socket(ctx, uid, machine.SerialHistorySocket)
				if !errors.Is(err, pod.ErrNotThere) {
					return conn, unreachable(vmi, machine.SerialHistorySocket, err)
				}
				// A launcher from before this socket gives its history to everybody.
			}
			return s.dialSocket(ctx, vmi, uid, turn)
		}})
}

func (s *Server) vnc(w http.ResponseWriter, r *http.Request) {
	preserve, _ := strconv.ParseBool(r.URL.Query().Get("preserveSession"))
	s.stream(w, r, streamSpec{kind: typeVNC, may: hasGraphics, turn: s.exclusive(machine.VNCSocket, preserve), dial: s.dialSocket})
}

// usbredir takes the first place that is free: a device is plugged into each.
func (s *Server) usbredir(w http.ResponseWriter, r *http.Request) {
	s.stream(w, r, streamSpec{kind: typeUSBRedir, may: hasRedirection, dial: s.dialSocket,
		turn: func(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (*turn, error) {
			for i := range machine.USBRedirections {
				if turn, err := s.streams.begin(ctx, streamKey{vmi.UID, machine.USBRedirSocket(i)}, true); err == nil {
					return turn, nil
				}
			}
			return nil, apierrors.NewServiceUnavailable("All USB devices are in use (websocket: bad handshake).")
		}})
}

func hasConsole(vmi *virtv1.VirtualMachineInstance) error {
	if attach := vmi.Spec.Domain.Devices.AutoattachSerialConsole; attach != nil && !*attach {
		return apierrors.NewBadRequest("No serial consoles are present.")
	}
	return nil
}

func hasGraphics(vmi *virtv1.VirtualMachineInstance) error {
	if attach := vmi.Spec.Domain.Devices.AutoattachGraphicsDevice; attach != nil && !*attach {
		return apierrors.NewBadRequest("No graphics devices are present.")
	}
	return nil
}

func hasRedirection(vmi *virtv1.VirtualMachineInstance) error {
	if vmi.Spec.Domain.Devices.ClientPassthrough == nil {
		//lint:ignore ST1005 the text is part of the API
		return conflict(vmi, errors.New("Not configured with USB Redirection"))
	}
	return nil
}

// exclusive takes the turn at a socket, from whoever has it unless preserve says to leave it.
func (s *Server) exclusive(socket string, preserve bool) func(context.Context, *virtv1.VirtualMachineInstance) (*turn, error) {
	return func(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (*turn, error) {
		return s.streams.begin(ctx, streamKey{vmi.UID, socket}, preserve)
	}
}

// shared takes a turn beside all others.
func (s *Server) shared(_ context.Context, vmi *virtv1.VirtualMachineInstance) (*turn, error) {
	return s.streams.join(vmi.UID)
}

// dialSocket connects to the socket that the turn is about.
func (s *Server) dialSocket(ctx context.Context, vmi *virtv1.VirtualMachineInstance, pod types.UID, turn *turn) (net.Conn, error) {
	conn, err := s.ways.Socket(ctx, pod, turn.key.socket)
	return conn, unreachable(vmi, turn.key.socket, err)
}

func unreachable(vmi *virtv1.VirtualMachineInstance, socket string, err error) error {
	if err == nil {
		return nil
	}
	return apierrors.NewServiceUnavailable(fmt.Sprintf("%s of %s/%s cannot be reached: %v", socket, vmi.Namespace, vmi.Name, err))
}

// stream relays between a WebSocket and a guest. All that can go wrong is answered before the connection is upgraded, so
// that the client can show it.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, spec streamSpec) {
	vmi, pod, _, err := s.machines.Machine(r.PathValue("namespace"), r.PathValue("name"))
	if err == nil {
		err = errors.Join(streamable(vmi), spec.may(vmi))
	}
	if err == nil && !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		err = apierrors.NewBadRequest("this is a stream: upgrade the connection to a WebSocket")
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	turn, err := spec.turn(r.Context(), vmi)
	if err != nil {
		fail(w, r, err)
		return
	}
	defer turn.end()
	ctx, cancel := context.WithTimeout(r.Context(), dialTimeout)
	guest, err := spec.dial(ctx, vmi, pod, turn)
	cancel()
	if err != nil {
		fail(w, r, err)
		return
	}
	defer func() { _ = guest.Close() }()
	client, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol},
		// Browsers name the origin of virt-api's client. Whoever it is was let in by virt-api, and without cookies.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return // Accept has answered
	}
	log := klog.FromContext(r.Context()).WithValues("vmi", klog.KRef(vmi.Namespace, vmi.Name), "stream", spec.kind, "place", turn.key.socket)
	log.Info("Connected a stream", "auditID", r.Header.Get("Audit-Id"))
	s.connected(vmi, spec.kind)
	code, reason := (&relay{client: client, guest: guest, turn: turn, form: spec.form, pingEvery: s.pingEvery, pongWithin: s.pongWithin}).run(r.Context())
	log.Info("Ended a stream", "code", int(code), "reason", reason)
}

// streamable answers requests before the guest runs with 400, for which stock clients wait.
func streamable(vmi *virtv1.VirtualMachineInstance) error {
	switch vmi.Status.Phase {
	case virtv1.Running:
		return nil
	case virtv1.Failed:
		return conflict(vmi, errors.New("VMI is in failed status"))
	}
	return apierrors.NewBadRequest(fmt.Sprintf("Unable to connect to VirtualMachineInstance because phase is %s instead of %s", vmi.Status.Phase, virtv1.Running))
}
