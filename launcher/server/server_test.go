package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/virtplane/virtplane/launcher/api"
)

// fake is a domain whose state the test sets.
type fake struct {
	mu      sync.Mutex
	event   *api.Event
	changed chan struct{}
	ended   chan struct{}
	calls   []string
	grace   *time.Duration
	picture string
	err     error
}

func newFake() *fake {
	return &fake{event: &api.Event{Sequence: 1}, changed: make(chan struct{}), ended: make(chan struct{})}
}

func (f *fake) call(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
	return f.err
}

func (f *fake) Sync(context.Context, *api.SyncRequest) error { return f.call("sync") }
func (f *fake) Pause(context.Context) error                  { return f.call("pause") }
func (f *fake) Unpause(context.Context) error                { return f.call("unpause") }
func (f *fake) Kill(context.Context) error                   { return f.call("kill") }
func (f *fake) Reset(context.Context) error                  { return f.call("reset") }
func (f *fake) SoftReboot(context.Context) error             { return f.call("softReboot") }
func (f *fake) Shutdown(grace *time.Duration)                { f.call("shutdown"); f.grace = grace }
func (f *fake) Screenshot(_ context.Context, moveCursor bool) (*os.File, error) {
	if err := f.call(fmt.Sprintf("screenshot %v", moveCursor)); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "shot")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(f.picture); err != nil {
		return nil, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}
func (f *fake) GuestInfo(context.Context) (*api.GuestInfoResponse, error) {
	return &api.GuestInfoResponse{}, f.call("guestInfo")
}
func (f *fake) GuestUsers(context.Context) (*api.GuestUsersResponse, error) {
	return &api.GuestUsersResponse{}, f.call("guestUsers")
}
func (f *fake) GuestFilesystems(context.Context) (*api.GuestFilesystemsResponse, error) {
	return &api.GuestFilesystemsResponse{}, f.call("guestFilesystems")
}
func (f *fake) Freeze(_ context.Context, after time.Duration) error {
	return f.call("freeze " + after.String())
}
func (f *fake) Unfreeze(context.Context) error { return f.call("unfreeze") }
func (f *fake) Probe(_ context.Context, command []string) (*api.ProbeResponse, error) {
	return &api.ProbeResponse{}, f.call(strings.Join(append([]string{"probe"}, command...), " "))
}
func (f *fake) Ended() <-chan struct{} { return f.ended }
func (f *fake) Current() (*api.Event, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.event, f.changed
}

func (f *fake) set(sequence uint64, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.event = &api.Event{Sequence: sequence}
	close(f.changed)
	f.changed = make(chan struct{})
	if last {
		close(f.ended)
	}
}

func serve(t *testing.T, f *fake) (*Server, api.LauncherClient) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(path, os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	s := New(f, func() *api.InfoResponse { return &api.InfoResponse{Name: "vm"} }, slog.New(slog.NewTextHandler(io.Discard, nil)))
	g := api.NewServer()
	api.RegisterLauncherServer(g, s)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	client, conn, err := api.NewClient(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return s, client
}

func TestCalls(t *testing.T) {
	f := newFake()
	_, c := serve(t, f)
	ctx := t.Context()
	calls := map[string]func() error{
		"sync":       func() error { _, err := c.Sync(ctx, &api.SyncRequest{}); return err },
		"pause":      func() error { _, err := c.Pause(ctx, &api.PauseRequest{}); return err },
		"unpause":    func() error { _, err := c.Unpause(ctx, &api.UnpauseRequest{}); return err },
		"kill":       func() error { _, err := c.Kill(ctx, &api.KillRequest{}); return err },
		"reset":      func() error { _, err := c.Reset(ctx, &api.ResetRequest{}); return err },
		"softReboot": func() error { _, err := c.SoftReboot(ctx, &api.SoftRebootRequest{}); return err },
		"guestInfo":  func() error { _, err := c.GuestInfo(ctx, &api.GuestInfoRequest{}); return err },
		"guestUsers": func() error { _, err := c.GuestUsers(ctx, &api.GuestUsersRequest{}); return err },
		"guestFilesystems": func() error {
			_, err := c.GuestFilesystems(ctx, &api.GuestFilesystemsRequest{})
			return err
		},
		"freeze 0s": func() error { _, err := c.Freeze(ctx, &api.FreezeRequest{}); return err },
		"freeze 1m30s": func() error {
			_, err := c.Freeze(ctx, &api.FreezeRequest{UnfreezeAfter: durationpb.New(90 * time.Second)})
			return err
		},
		"unfreeze": func() error { _, err := c.Unfreeze(ctx, &api.UnfreezeRequest{}); return err },
		"probe":    func() error { _, err := c.Probe(ctx, &api.ProbeRequest{}); return err },
		"probe cat a": func() error {
			_, err := c.Probe(ctx, &api.ProbeRequest{Command: []string{"cat", "a"}})
			return err
		},
	}
	for name, call := range calls {
		f.calls, f.err = nil, nil
		if err := call(); err != nil || len(f.calls) != 1 || f.calls[0] != name {
			t.Errorf("%s: %v, %v", name, f.calls, err)
		}
		f.err = api.Errorf(codes.FailedPrecondition, api.ReasonNotRunning, "no guest")
		if err := call(); status.Code(err) != codes.FailedPrecondition || api.ReasonOf(err) != api.ReasonNotRunning {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, after := range []time.Duration{-time.Second, 1000 * 24 * time.Hour} {
		f.calls, f.err = nil, nil
		if _, err := c.Freeze(ctx, &api.FreezeRequest{UnfreezeAfter: durationpb.New(after)}); status.Code(err) != codes.InvalidArgument || len(f.calls) > 0 {
			t.Errorf("freeze for %s: %v, %v", after, f.calls, err)
		}
	}
	if i, err := c.Info(ctx, &api.InfoRequest{}); err != nil || i.Name != "vm" {
		t.Errorf("Info: %v, %v", i, err)
	}
}

func TestShutdown(t *testing.T) {
	f := newFake()
	_, c := serve(t, f)
	seconds := func(n int64) *int64 { return &n }
	for _, tc := range []struct {
		grace *int64
		want  time.Duration
		code  codes.Code
	}{
		{nil, -1, codes.OK}, {seconds(0), 0, codes.OK}, {seconds(7), 7 * time.Second, codes.OK},
		{seconds(-1), 0, codes.InvalidArgument}, {seconds(1 << 62), 0, codes.InvalidArgument},
	} {
		f.grace = nil
		_, err := c.Shutdown(t.Context(), &api.ShutdownRequest{GracePeriodSeconds: tc.grace})
		if status.Code(err) != tc.code {
			t.Errorf("got %v, want %v", err, tc.code)
		}
		if tc.code == codes.OK && (tc.want < 0) != (f.grace == nil) || f.grace != nil && *f.grace != tc.want {
			t.Errorf("grace %v, want %v", f.grace, tc.want)
		}
	}
}

// A reader sees the present state first and the last one always.
func TestEvents(t *testing.T) {
	f := newFake()
	s, c := serve(t, f)
	stream, err := c.Events(t.Context(), &api.EventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := stream.Recv(); err != nil || e.Sequence != 1 {
		t.Fatalf("first: %v, %v", e, err)
	}
	f.set(2, false)
	if e, err := stream.Recv(); err != nil || e.Sequence != 2 {
		t.Fatalf("second: %v, %v", e, err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	if err := s.Drain(soon); err == nil {
		t.Error("Drain found an open stream drained")
	}
	cancel()
	f.set(3, true)
	for {
		e, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil || e.Sequence != 3 {
			t.Fatalf("last: %v, %v", e, err)
		}
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Errorf("Drain: %v", err)
	}
	// Who comes late is told as well.
	if stream, err = c.Events(t.Context(), &api.EventsRequest{}); err != nil {
		t.Fatal(err)
	}
	if e, err := stream.Recv(); err != nil || e.Sequence != 3 {
		t.Errorf("late: %v, %v", e, err)
	}
}
