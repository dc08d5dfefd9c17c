package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	launcher "github.com/virtplane/virtplane/launcher/api"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

const (
	// actionTimeout is shorter than the 30 s for which virt-api waits, so that the answer is ours.
	actionTimeout = 25 * time.Second
	headerTimeout = 10 * time.Second
	idleTimeout   = 90 * time.Second
	base          = "/v1/namespaces/{namespace}/virtualmachineinstances/{name}/"
)

// Machines knows the instances of this node.
type Machines interface {
	// Machine gives an instance, the pod that it runs in, and its launcher; nil while there is no connection to it.
	Machine(namespace, name string) (*virtv1.VirtualMachineInstance, types.UID, launcher.LauncherClient, error)
	// SoftRebooted tells users that a guest was asked to reboot.
	SoftRebooted(*virtv1.VirtualMachineInstance)
}

// Dialer connects to a socket of a launcher pod.
type Dialer func(ctx context.Context, pod types.UID, socket string) (net.Conn, error)

// Ways are those to a guest.
type Ways struct {
	Socket Dialer
	Port   PortDialer
	VSOCK  VSOCKDialer
	// Certificate is what this node shows to programs in guests.
	Certificate func() (*tls.Certificate, error)
}

// Server answers virt-api. Make one by New.
type Server struct {
	machines Machines
	ways     Ways
	streams  streams
	// pingEvery and pongWithin keep streams alive and find dead ones.
	pingEvery, pongWithin time.Duration
}

// New makes a Server.
func New(machines Machines, ways Ways) *Server {
	return &Server{machines: machines, ways: ways, pingEvery: 10 * time.Second, pongWithin: 60 * time.Second}
}

// Handler gives the handler of all requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"console", s.console)
	mux.HandleFunc("GET "+base+"vnc", s.vnc)
	mux.HandleFunc("GET "+base+"vnc/screenshot", s.screenshot)
	mux.HandleFunc("GET "+base+"usbredir", s.usbredir)
	mux.HandleFunc("GET "+base+"vsock", s.vsock)
	mux.HandleFunc("GET "+base+"portforward/{port}", s.portforward)
	mux.HandleFunc("GET "+base+"portforward/{port}/{protocol}", s.portforward)
	for name, act := range actions {
		mux.HandleFunc("PUT "+base+name, func(w http.ResponseWriter, r *http.Request) { s.act(w, r, act) })
	}
	s.handleGuest(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, &apierrors.StatusError{ErrStatus: apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, virtv1.Resource(""), r.URL.Path, "the node agent serves no such path", 0, true).Status()})
	})
	return mux
}

// Serve answers on the listener until ctx ends; then it ends all streams.
func (s *Server) Serve(ctx context.Context, listener net.Listener, config *tls.Config) error {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"} // WebSockets need the connection for themselves
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:          nil,
	}
	stop := context.AfterFunc(ctx, func() {
		s.streams.closeAll("the node agent is being restarted; connect again")
		_ = server.Close()
	})
	defer stop()
	err := server.Serve(tls.NewListener(listener, config))
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving virt-api: %w", err)
}

// actions are the calls that are passed on to the launcher.
var actions = map[string]func(context.Context, launcher.LauncherClient) error{
	"pause": func(ctx context.Context, c launcher.LauncherClient) error {
		_, err := c.Pause(ctx, &launcher.PauseRequest{})
		return err
	},
	"unpause": func(ctx context.Context, c launcher.LauncherClient) error {
		_, err := c.Unpause(ctx, &launcher.UnpauseRequest{})
		return err
	},
	"reset": func(ctx context.Context, c launcher.LauncherClient) error {
		_, err := c.Reset(ctx, &launcher.ResetRequest{})
		return err
	},
}

func (s *Server) act(w http.ResponseWriter, r *http.Request, act func(context.Context, launcher.LauncherClient) error) {
	err := s.call(r, func(ctx context.Context, _ *virtv1.VirtualMachineInstance, client launcher.LauncherClient) error {
		return act(ctx, client)
	})
	if err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// call finds the launcher that a request is for and has do ask it.
func (s *Server) call(r *http.Request, do func(context.Context, *virtv1.VirtualMachineInstance, launcher.LauncherClient) error) error {
	vmi, _, client, err := s.machines.Machine(r.PathValue("namespace"), r.PathValue("name"))
	switch {
	case err != nil:
		return err
	case vmi.Status.Phase != virtv1.Running:
		return conflict(vmi, errors.New("VMI is not running"))
	case client == nil:
		return apierrors.NewServiceUnavailable(fmt.Sprintf("the launcher of %s/%s does not answer: try again", vmi.Namespace, vmi.Name))
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	return answer(vmi, do(ctx, vmi, client))
}

// answer turns what a launcher says into what clients of the API know.
func answer(vmi *virtv1.VirtualMachineInstance, err error) error {
	if err == nil {
		return nil
	}
	message := status.Convert(err).Message()
	switch status.Code(err) {
	case codes.FailedPrecondition:
		return conflict(vmi, errors.New(message))
	case codes.InvalidArgument:
		return apierrors.NewBadRequest(message)
	case codes.DeadlineExceeded:
		return apierrors.NewTimeoutError(fmt.Sprintf("the launcher of %s/%s has not answered within %s", vmi.Namespace, vmi.Name, actionTimeout), 0)
	case codes.Unavailable, codes.Canceled:
		return apierrors.NewServiceUnavailable(message)
	}
	return apierrors.NewInternalError(errors.New(message))
}

func conflict(vmi *virtv1.VirtualMachineInstance, err error) error {
	return apierrors.NewConflict(virtv1.Resource("virtualmachineinstance"), vmi.Name, err)
}

// fail answers with a Status, whatever the error is.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	body := known.Status()
	body.Kind, body.APIVersion = "Status", "v1"
	log := klog.FromContext(r.Context())
	log.Info("Refused a request", "method", r.Method, "path", r.URL.Path, "auditID", r.Header.Get("Audit-Id"), "code", body.Code, "reason", body.Message)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(body.Code))
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.V(2).Info("Could not send an answer", "err", err)
	}
}
