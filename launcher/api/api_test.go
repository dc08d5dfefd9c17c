package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failing answers each Sync with one error.
type failing struct {
	UnimplementedLauncherServer
	err error
}

func (f failing) Sync(context.Context, *SyncRequest) (*SyncResponse, error) { return nil, f.err }

func serve(t *testing.T, s LauncherServer, allowed ...int) LauncherClient {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // left by an earlier launcher
		t.Fatal(err)
	}
	l, err := Listen(path, allowed...)
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer()
	RegisterLauncherServer(server, s)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	client, conn, err := NewClient(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return client
}

func TestErrorsCrossTheSocket(t *testing.T) {
	for _, tc := range []struct {
		name      string
		err       error
		code      codes.Code
		reason    string
		text      string
		permanent bool
	}{
		{"own", Errorf(codes.FailedPrecondition, ReasonImageTooLarge, "image %s: too large", "/d"), codes.FailedPrecondition, ReasonImageTooLarge, "image /d: too large", true},
		{"wrapped", fmt.Errorf("preparing: %w", Wrap(errors.New("x"), codes.Unavailable, ReasonUnavailable)), codes.Unavailable, ReasonUnavailable, "preparing: x", false},
		{"wrapped again", Wrap(fmt.Errorf("preparing: %w", Errorf(codes.InvalidArgument, ReasonInvalidSpec, "y")), codes.Unavailable, ReasonStartFailed), codes.InvalidArgument, ReasonInvalidSpec, "preparing: y", true},
		{"full disk", Wrap(fmt.Errorf("writing: %w", syscall.ENOSPC), codes.Unavailable, ReasonStartFailed), codes.ResourceExhausted, ReasonNoSpace, "writing: no space left on device", false},
		{"deadline", Wrap(fmt.Errorf("waiting: %w", context.DeadlineExceeded), codes.FailedPrecondition, ReasonStartFailed), codes.Unavailable, ReasonUnavailable, "waiting: context deadline exceeded", false},
		{"foreign", errors.New("no reason"), codes.Unknown, "", "no reason", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := serve(t, failing{err: tc.err}, os.Getuid()).Sync(t.Context(), &SyncRequest{})
			if s := status.Convert(err); s.Code() != tc.code || s.Message() != tc.text {
				t.Errorf("got %v: %s", s.Code(), s.Message())
			}
			if ReasonOf(err) != tc.reason || ReasonOf(tc.err) != tc.reason {
				t.Errorf("reasons %q and %q, want %q", ReasonOf(err), ReasonOf(tc.err), tc.reason)
			}
			if Permanent(err) != tc.permanent {
				t.Errorf("Permanent = %v", !tc.permanent)
			}
		})
	}
	if Wrap(nil, codes.Internal, "x") != nil {
		t.Error("no error became one")
	}
}

func TestStrangersAreTurnedAway(t *testing.T) {
	_, err := serve(t, failing{err: errors.New("was let in")}, os.Getuid()+1).Sync(t.Context(), &SyncRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestUIDOf(t *testing.T) {
	if uid, err := UIDOf(&SyncRequest{Vmi: []byte(`{"metadata":{"uid":"u"},"spec":3}`)}); uid != "u" || err != nil {
		t.Errorf("got %q, %v", uid, err)
	}
	if _, err := UIDOf(&SyncRequest{Vmi: []byte(`{`)}); ReasonOf(err) != ReasonInvalidSpec {
		t.Errorf("got %v", err)
	}
}
