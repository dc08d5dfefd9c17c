package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/kubernetes-csi/csi-lib-utils/protosanitizer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
)

const stopTimeout = 10 * time.Second

// Listen makes a Unix socket that only root can use, in the place of one that an earlier process left behind.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("making directory of socket: %w", err)
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("looking at socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("socket %s: something else is there, remove it", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing old socket: %w", err)
		}
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("restricting socket: %w", err), listener.Close())
	}
	return listener, nil
}

// Serve answers CSI calls until ctx ends, and then lets running ones finish for a short while.
func (d *Driver) Serve(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(logged(klog.FromContext(ctx))))
	csi.RegisterIdentityServer(server, Identity{Driver: d})
	csi.RegisterControllerServer(server, Controller{Driver: d})
	csi.RegisterNodeServer(server, Node{Driver: d})
	return ServeUntil(ctx, server, listener)
}

// ServeUntil runs a gRPC server until ctx ends.
func ServeUntil(ctx context.Context, server *grpc.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	stopped := make(chan struct{})
	go func() { server.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(stopTimeout):
		server.Stop()
	}
	return nil
}

// logged logs each call with its duration, and turns a panic into an error so that one bad request does not take the mounts of all pods with it.
func logged(log klog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
		log := log.WithValues("method", info.FullMethod)
		start := time.Now()
		defer func() {
			if cause := recover(); cause != nil {
				log.Error(fmt.Errorf("panic: %v", cause), "Call panicked", "stack", string(debug.Stack()))
				err = status.Errorf(codes.Internal, "panic: %v", cause)
			}
			switch status.Code(err) {
			case codes.OK:
			case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.Aborted, codes.FailedPrecondition, codes.ResourceExhausted:
				log.Info("Call refused", "request", protosanitizer.StripSecrets(request), "duration", time.Since(start), "err", err)
				return
			default:
				log.Error(err, "Call failed", "request", protosanitizer.StripSecrets(request), "duration", time.Since(start))
				return
			}
			log.V(4).Info("Call done", "request", protosanitizer.StripSecrets(request), "response", protosanitizer.StripSecrets(response), "duration", time.Since(start))
		}()
		return handler(klog.NewContext(ctx, log), request)
	}
}
