package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/machine"
)

const (
	// subprotocol says that binary frames carry the bytes of the stream and nothing else.
	subprotocol = "plain.kubevirt.io"
	bufferSize  = 32 << 10
	// frameLimit bounds a frame of a client; stock clients send some 10 KiB.
	frameLimit  = 1 << 20
	dialTimeout = 5 * time.Second
	// evictTimeout bounds the wait for an older stream to let go of the guest's socket, which serves one at a time.
	evictTimeout = 5 * time.Second
)

func (s *Server) console(w http.ResponseWriter, r *http.Request) {
	s.stream(w, r, typeConsole, machine.SerialSocket, func(vmi *virtv1.VirtualMachineInstance) error {
		if attach := vmi.Spec.Domain.Devices.AutoattachSerialConsole; attach != nil && !*attach {
			return apierrors.NewBadRequest("No serial consoles are present.")
		}
		return nil
	})
}

func (s *Server) vnc(w http.ResponseWriter, r *http.Request) {
	s.stream(w, r, typeVNC, machine.VNCSocket, func(vmi *virtv1.VirtualMachineInstance) error {
		if attach := vmi.Spec.Domain.Devices.AutoattachGraphicsDevice; attach != nil && !*attach {
			return apierrors.NewBadRequest("No graphics devices are present.")
		}
		return nil
	})
}

// stream relays between a WebSocket and a socket of the guest. All that can go wrong is answered before the connection is
// upgraded, so that the client can show it.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, kind, socket string, has func(*virtv1.VirtualMachineInstance) error) {
	vmi, pod, _, err := s.machines.Machine(r.PathValue("namespace"), r.PathValue("name"))
	if err == nil {
		err = errors.Join(streamable(vmi), has(vmi))
	}
	if err == nil && !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		err = apierrors.NewBadRequest("this is a stream: upgrade the connection to a WebSocket")
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	preserve, _ := strconv.ParseBool(r.URL.Query().Get("preserveSession"))
	turn, err := s.streams.begin(r.Context(), streamKey{vmi.UID, socket}, preserve)
	if err != nil {
		fail(w, r, err)
		return
	}
	defer turn.end()
	ctx, cancel := context.WithTimeout(r.Context(), dialTimeout)
	guest, err := s.dial(ctx, pod, socket)
	cancel()
	if err != nil {
		fail(w, r, apierrors.NewServiceUnavailable(fmt.Sprintf("%s of %s/%s cannot be reached: %v", socket, vmi.Namespace, vmi.Name, err)))
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
	log := klog.FromContext(r.Context()).WithValues("vmi", klog.KRef(vmi.Namespace, vmi.Name), "socket", socket)
	log.Info("Connected a stream", "auditID", r.Header.Get("Audit-Id"))
	s.connected(vmi, kind)
	code, reason := s.relay(r.Context(), client, guest, turn)
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

// relay copies both ways until one side ends or another client takes the turn, and says how to close the WebSocket.
func (s *Server) relay(ctx context.Context, client *websocket.Conn, guest net.Conn, turn *turn) (websocket.StatusCode, string) {
	client.SetReadLimit(frameLimit)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	type end struct {
		code   websocket.StatusCode
		reason string
	}
	ends := make(chan end, 3)
	wg.Go(func() {
		code, reason := fromGuest(ctx, client, guest)
		ends <- end{code, reason}
	})
	wg.Go(func() {
		code, reason := toGuest(ctx, client, guest)
		ends <- end{code, reason}
	})
	wg.Go(func() {
		if err := s.ping(ctx, client); err != nil {
			ends <- end{websocket.StatusGoingAway, "the client does not answer"}
		}
	})
	var first end
	select {
	case first = <-ends:
	case reason := <-turn.evicted:
		first = end{websocket.StatusGoingAway, reason}
	}
	// The guest's socket is given free at once; its copier ends with it. The other copier reads the client's frames, and
	// with them the answer to our closing, and so must go on until that is done.
	_ = guest.Close()
	closed := make(chan struct{})
	go func() {
		_ = client.Close(first.code, first.reason)
		close(closed)
	}()
	turn.release()
	<-closed
	cancel()
	wg.Wait()
	return first.code, first.reason
}

func fromGuest(ctx context.Context, client *websocket.Conn, guest net.Conn) (websocket.StatusCode, string) {
	buf := make([]byte, bufferSize)
	for {
		n, err := guest.Read(buf)
		if n > 0 {
			if err := client.Write(ctx, websocket.MessageBinary, buf[:n]); err != nil {
				return websocket.StatusGoingAway, "the client is gone"
			}
		}
		if errors.Is(err, io.EOF) {
			return websocket.StatusNormalClosure, ""
		}
		if err != nil {
			return websocket.StatusInternalError, "the guest's socket failed"
		}
	}
}

func toGuest(ctx context.Context, client *websocket.Conn, guest net.Conn) (websocket.StatusCode, string) {
	buf := make([]byte, bufferSize)
	for {
		kind, frame, err := client.Reader(ctx)
		if err != nil {
			return websocket.StatusNormalClosure, ""
		}
		if kind != websocket.MessageBinary {
			if _, err := io.Copy(io.Discard, frame); err != nil {
				return websocket.StatusNormalClosure, ""
			}
			continue
		}
		for {
			n, err := frame.Read(buf)
			if n > 0 {
				if _, err := guest.Write(buf[:n]); err != nil {
					return websocket.StatusNormalClosure, ""
				}
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return websocket.StatusNormalClosure, ""
			}
		}
	}
}

// ping keeps proxies in between from ending an idle stream, and notices a client that has gone without a word.
func (s *Server) ping(ctx context.Context, client *websocket.Conn) error {
	ticker := time.NewTicker(s.pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		pingCtx, cancel := context.WithTimeout(ctx, s.pongWithin)
		err := client.Ping(pingCtx)
		cancel()
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

type streamKey struct {
	vmi    types.UID
	socket string
}

// streams lets one client at a time have a socket of a guest.
type streams struct {
	mu   sync.Mutex
	held map[streamKey]*turn
}

// turn is the right to a socket.
type turn struct {
	owner   *streams
	key     streamKey
	evicted chan string   // receives why, once
	free    chan struct{} // closed when the socket is not used any more
	once    sync.Once
}

// begin takes the turn, from whoever has it unless preserve says to leave it.
func (s *streams) begin(ctx context.Context, key streamKey, preserve bool) (*turn, error) {
	mine := &turn{owner: s, key: key, evicted: make(chan string, 1), free: make(chan struct{})}
	s.mu.Lock()
	older := s.held[key]
	if older != nil && preserve {
		s.mu.Unlock()
		return nil, apierrors.NewServiceUnavailable("another client is connected: come without preserveSession to take its place")
	}
	if s.held == nil {
		s.held = map[streamKey]*turn{}
	}
	s.held[key] = mine
	s.mu.Unlock()
	if older == nil {
		return mine, nil
	}
	older.evict("another client has connected and takes your place")
	ctx, cancel := context.WithTimeout(ctx, evictTimeout)
	defer cancel()
	select {
	case <-older.free:
		return mine, nil
	case <-ctx.Done():
		mine.end()
		return nil, apierrors.NewServiceUnavailable("the client before does not let go: try again")
	}
}

func (t *turn) evict(reason string) {
	select {
	case t.evicted <- reason:
	default: // it knows already
	}
}

// release says that the socket is free.
func (t *turn) release() { t.once.Do(func() { close(t.free) }) }

func (t *turn) end() {
	t.release()
	t.owner.mu.Lock()
	defer t.owner.mu.Unlock()
	if t.owner.held[t.key] == t {
		delete(t.owner.held, t.key)
	}
}

func (s *streams) closeAll(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.held {
		t.evict(reason)
	}
}
