package server

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
)

// GuestUsers asks the guest agent who is logged in.
func (s *Server) GuestUsers(ctx context.Context, _ *api.GuestUsersRequest) (*api.GuestUsersResponse, error) {
	return s.domain.GuestUsers(ctx)
}

// GuestFilesystems asks the guest agent what is mounted.
func (s *Server) GuestFilesystems(ctx context.Context, _ *api.GuestFilesystemsRequest) (*api.GuestFilesystemsResponse, error) {
	return s.domain.GuestFilesystems(ctx)
}

// maxFreeze bounds the time after which a freeze ends by itself; anything longer is a mistake.
const maxFreeze = 365 * 24 * time.Hour

// Freeze freezes the guest's file systems.
func (s *Server) Freeze(ctx context.Context, r *api.FreezeRequest) (*api.FreezeResponse, error) {
	after := r.GetUnfreezeAfter()
	if after != nil && (after.CheckValid() != nil || after.AsDuration() < 0 || after.AsDuration() > maxFreeze) {
		return nil, api.Errorf(codes.InvalidArgument, api.ReasonInvalidSpec, "unfreezeTimeout must be from 0 to %s", maxFreeze)
	}
	return &api.FreezeResponse{}, s.domain.Freeze(ctx, after.AsDuration())
}

// Unfreeze ends a freeze.
func (s *Server) Unfreeze(ctx context.Context, _ *api.UnfreezeRequest) (*api.UnfreezeResponse, error) {
	return &api.UnfreezeResponse{}, s.domain.Unfreeze(ctx)
}

// Probe asks the guest agent for a sign of life, or has it run a command.
func (s *Server) Probe(ctx context.Context, r *api.ProbeRequest) (*api.ProbeResponse, error) {
	return s.domain.Probe(ctx, r.GetCommand())
}
