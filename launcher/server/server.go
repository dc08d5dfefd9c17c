// Package server serves the launcher's gRPC service over a domain. It turns calls into methods and nothing more; what a
// call does to the guest is the domain's affair.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
)

// Domain is the guest that is served.
type Domain interface {
	Sync(context.Context, *api.SyncRequest) error
	Pause(context.Context) error
	Unpause(context.Context) error
	Shutdown(grace *time.Duration)
	Kill(context.Context) error
	Reset(context.Context) error
	SoftReboot(context.Context) error
	Screenshot(ctx context.Context, moveCursor bool) (*os.File, error)
	GuestInfo(context.Context) (*api.GuestInfoResponse, error)
	GuestUsers(context.Context) (*api.GuestUsersResponse, error)
	GuestFilesystems(context.Context) (*api.GuestFilesystemsResponse, error)
	Freeze(ctx context.Context, after time.Duration) error
	Unfreeze(context.Context) error
	Probe(ctx context.Context, command []string) (*api.ProbeResponse, error)
	Current() (*api.Event, <-chan struct{})
	Ended() <-chan struct{}
}

// Server is the service.
type Server struct {
	api.UnimplementedLauncherServer
	domain Domain
	info   func() *api.InfoResponse
	log    *slog.Logger

	mu      sync.Mutex
	streams int           // of Events that are open
	told    bool          // somebody has received the last event
	change  chan struct{} // closed when streams or told change
}

// New makes the service. info tells who serves.
func New(d Domain, info func() *api.InfoResponse, log *slog.Logger) *Server {
	return &Server{domain: d, info: info, log: log, change: make(chan struct{})}
}

// Info tells who serves.
func (s *Server) Info(context.Context, *api.InfoRequest) (*api.InfoResponse, error) {
	return s.info(), nil
}

// Sync starts the guest.
func (s *Server) Sync(ctx context.Context, r *api.SyncRequest) (*api.SyncResponse, error) {
	if err := s.domain.Sync(ctx, r); err != nil {
		s.log.Error("Could not start guest", "err", err, "reason", api.ReasonOf(err))
		return nil, err
	}
	e, _ := s.domain.Current()
	return &api.SyncResponse{State: e}, nil
}

// Pause halts the guest.
func (s *Server) Pause(ctx context.Context, _ *api.PauseRequest) (*api.PauseResponse, error) {
	return &api.PauseResponse{}, s.domain.Pause(ctx)
}

// Unpause lets the guest run.
func (s *Server) Unpause(ctx context.Context, _ *api.UnpauseRequest) (*api.UnpauseResponse, error) {
	return &api.UnpauseResponse{}, s.domain.Unpause(ctx)
}

// maxGrace bounds a grace period; anything longer is a mistake.
const maxGrace = 10 * 365 * 24 * time.Hour

// Shutdown asks the guest to power down.
func (s *Server) Shutdown(_ context.Context, r *api.ShutdownRequest) (*api.ShutdownResponse, error) {
	if r.GracePeriodSeconds == nil {
		s.domain.Shutdown(nil)
		return &api.ShutdownResponse{}, nil
	}
	seconds := r.GetGracePeriodSeconds()
	if seconds < 0 || seconds > int64(maxGrace/time.Second) {
		return nil, api.Errorf(codes.InvalidArgument, api.ReasonInvalidSpec, "grace period of %d s must be from 0 to %d", seconds, int64(maxGrace/time.Second))
	}
	grace := time.Duration(seconds) * time.Second
	s.domain.Shutdown(&grace)
	return &api.ShutdownResponse{}, nil
}

// Kill ends the guest.
func (s *Server) Kill(ctx context.Context, _ *api.KillRequest) (*api.KillResponse, error) {
	return &api.KillResponse{}, s.domain.Kill(ctx)
}

// Reset resets the machine.
func (s *Server) Reset(ctx context.Context, _ *api.ResetRequest) (*api.ResetResponse, error) {
	return &api.ResetResponse{}, s.domain.Reset(ctx)
}

// SoftReboot asks the guest to reboot.
func (s *Server) SoftReboot(ctx context.Context, _ *api.SoftRebootRequest) (*api.SoftRebootResponse, error) {
	return &api.SoftRebootResponse{}, s.domain.SoftReboot(ctx)
}

// piece is how much of a screenshot is sent at a time.
const piece = 32 << 10

// Screenshot sends what is on the guest's screen.
func (s *Server) Screenshot(r *api.ScreenshotRequest, stream api.Launcher_ScreenshotServer) error {
	file, err := s.domain.Screenshot(stream.Context(), r.GetMoveCursor())
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	buf := make([]byte, piece)
	for {
		n, err := file.Read(buf)
		if n > 0 {
			if err := stream.Send(&api.ScreenshotResponse{Png: buf[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return api.Errorf(codes.Unavailable, api.ReasonUnavailable, "reading the screenshot: %w", err)
		}
	}
}

// GuestInfo asks the guest agent.
func (s *Server) GuestInfo(ctx context.Context, _ *api.GuestInfoRequest) (*api.GuestInfoResponse, error) {
	return s.domain.GuestInfo(ctx)
}

// Events sends each state. The stream ends by itself after the last one.
func (s *Server) Events(_ *api.EventsRequest, stream api.Launcher_EventsServer) error {
	s.note(func() { s.streams++ })
	defer s.note(func() { s.streams-- })
	for {
		// Ended is asked before the state: an end in between makes one more turn, never a lost last event.
		last := false
		select {
		case <-s.domain.Ended():
			last = true
		default:
		}
		e, changed := s.domain.Current()
		if err := stream.Send(e); err != nil {
			return err
		}
		if last {
			s.note(func() { s.told = true })
			return nil
		}
		select {
		case <-changed:
		case <-s.domain.Ended():
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// note changes what Drain waits for.
func (s *Server) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.change)
	s.change = make(chan struct{})
}

// Drain waits, after the guest's end, until somebody was told of it and no stream is open.
func (s *Server) Drain(ctx context.Context) error {
	for {
		s.mu.Lock()
		done, change := s.told && s.streams == 0, s.change
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("nobody has asked how the guest ended: %w", context.Cause(ctx))
		}
	}
}
