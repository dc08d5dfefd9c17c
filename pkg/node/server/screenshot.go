package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	launcher "github.com/virtplane/virtplane/launcher/api"
)

// maxScreenshot is far more than a PNG of the largest screen.
const maxScreenshot = 64 << 20

// screenshot passes on what is on the guest's screen. It is not in the way of whoever looks at it.
func (s *Server) screenshot(w http.ResponseWriter, r *http.Request) {
	vmi, _, client, err := s.machines.Machine(r.PathValue("namespace"), r.PathValue("name"))
	if err == nil {
		err = errors.Join(streamable(vmi), hasGraphics(vmi))
	}
	if err == nil && client == nil {
		err = apierrors.NewServiceUnavailable(fmt.Sprintf("the launcher of %s/%s does not answer: try again", vmi.Namespace, vmi.Name))
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	move, _ := strconv.ParseBool(r.URL.Query().Get("moveCursor"))
	pieces, err := client.Screenshot(ctx, &launcher.ScreenshotRequest{MoveCursor: move})
	var piece *launcher.ScreenshotResponse
	if err == nil {
		piece, err = pieces.Recv()
	}
	if err != nil {
		fail(w, r, answer(vmi, err))
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.WriteHeader(http.StatusOK)
	for total := 0; err == nil; piece, err = pieces.Recv() {
		if total += len(piece.GetPng()); total > maxScreenshot {
			err = errors.New("it is too large")
			break
		}
		if _, err = w.Write(piece.GetPng()); err != nil {
			break
		}
	}
	if !errors.Is(err, io.EOF) {
		klog.FromContext(r.Context()).Info("Could not send a whole screenshot", "vmi", klog.KObj(vmi), "err", err)
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	}
}
