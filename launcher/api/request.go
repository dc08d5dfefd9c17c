package api

import (
	"encoding/json"

	"google.golang.org/grpc/codes"
)

// ProtocolVersion is the version of launcher.proto that this package speaks.
const ProtocolVersion = 1

// UIDOf reads the uid out of a request's VMI without decoding the rest.
func UIDOf(r *SyncRequest) (string, error) {
	var vmi struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(r.GetVmi(), &vmi); err != nil {
		return "", Errorf(codes.InvalidArgument, ReasonInvalidSpec, "decoding VMI: %w", err)
	}
	return vmi.Metadata.UID, nil
}
