package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// maxMessage bounds one message; a VMI with its Secrets stays far below.
const maxMessage = 8 << 20

// Listen opens the launcher's socket, in place of one that an earlier launcher has left. Connections of users other
// than those allowed are closed at once: the file's mode alone would let anyone in who runs as the pod's user.
func Listen(path string, allowed ...int) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing old socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting socket: %w", err), l.Close())
	}
	return &listener{UnixListener: l, allowed: allowed}, nil
}

type listener struct {
	*net.UnixListener
	allowed []int
}

// Accept gives the next connection of an allowed user.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := PeerOf(conn)
		if err == nil && slices.Contains(l.allowed, int(peer.Uid)) {
			return conn, nil
		}
		conn.Close()
	}
}

// PeerOf tells who is at the other end of a unix socket.
func PeerOf(conn syscall.Conn) (*syscall.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *syscall.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return cred, cerr
}

// NewServer makes a gRPC server for the socket, with small buffers: there is one for each guest of a node.
func NewServer() *grpc.Server {
	return grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(32),
		grpc.ReadBufferSize(4<<10), grpc.WriteBufferSize(4<<10),
	)
}

// NewClient makes a client that reaches the launcher by dial, which the caller provides because it knows whom to
// trust. The connection is made when it is first needed and again whenever it was lost.
func NewClient(dial func(context.Context) (net.Conn, error)) (LauncherClient, *grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///launcher",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A launcher that was restarted is there again within a moment.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("launcher client: %w", err)
	}
	return NewLauncherClient(conn), conn, nil
}
