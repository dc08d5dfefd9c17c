// Package registration announces the driver to the kubelet of its node, by the kubelet's plugin registration API: the kubelet watches a directory for sockets and asks each one what it is. This package serves that
// one socket; it must not serve anything else.
package registration

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/virtplane/virtplane/csi-driver/driver"
)

// csiVersions are the major versions of CSI that the kubelet may speak.
var csiVersions = []string{"1.0.0"}

// Server tells the kubelet where the driver is.
type Server struct {
	registerapi.UnsafeRegistrationServer
	endpoint string
	state    atomic.Pointer[error]
}

var errNotYet = errors.New("the kubelet has not registered the driver yet")

// New makes a server that names endpoint, a path as the kubelet sees it.
func New(endpoint string) *Server {
	s := &Server{endpoint: endpoint}
	s.state.Store(&errNotYet)
	return s
}

// Ready returns nil once the kubelet has registered the driver, and else why it has not.
func (s *Server) Ready() error { return *s.state.Load() }

// Serve answers the kubelet until ctx ends. The socket must be made after the driver's own, since the kubelet calls the driver at once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer()
	registerapi.RegisterRegistrationServer(server, s)
	return driver.ServeUntil(ctx, server, listener)
}

// GetInfo says what kind of plugin this is.
func (s *Server) GetInfo(context.Context, *registerapi.InfoRequest) (*registerapi.PluginInfo, error) {
	return &registerapi.PluginInfo{Type: registerapi.CSIPlugin, Name: driver.Name, Endpoint: s.endpoint, SupportedVersions: csiVersions}, nil
}

// NotifyRegistrationStatus keeps what the kubelet made of it. After a failure the kubelet tries again by itself.
func (s *Server) NotifyRegistrationStatus(ctx context.Context, r *registerapi.RegistrationStatus) (*registerapi.RegistrationStatusResponse, error) {
	var err error
	if !r.PluginRegistered {
		err = errors.New("the kubelet refused to register the driver: " + r.Error)
		klog.FromContext(ctx).Error(err, "Could not register")
	} else {
		klog.FromContext(ctx).Info("Registered with the kubelet")
	}
	s.state.Store(&err)
	return &registerapi.RegistrationStatusResponse{}, nil
}
