package server

import (
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/virtplane/virtplane/launcher/api"
)

func TestScreenshotComesInPieces(t *testing.T) {
	f := newFake()
	f.picture = strings.Repeat("0123456789", 3*piece/20)
	_, client := serve(t, f)
	stream, err := client.Screenshot(t.Context(), &api.ScreenshotRequest{MoveCursor: true})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(r.GetPng()) > piece {
			t.Errorf("a piece of %d bytes", len(r.GetPng()))
		}
		got.Write(r.GetPng())
	}
	if got.String() != f.picture || strings.Join(f.calls, " ") != "screenshot true" {
		t.Errorf("%d bytes of %d after %v", got.Len(), len(f.picture), f.calls)
	}
	f.err = api.Errorf(codes.FailedPrecondition, api.ReasonEnded, "the guest has ended")
	stream, err = client.Screenshot(t.Context(), &api.ScreenshotRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}
}
