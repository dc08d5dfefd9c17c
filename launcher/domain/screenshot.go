package domain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/qmp"
)

// wakeTime is what a guest has to draw its screen after its pointer was moved.
const wakeTime = 250 * time.Millisecond

// Screenshot gives what is on the guest's screen as a PNG file that has no name any more; the caller closes it. moveCursor
// moves the pointer first, which wakes a screen that sleeps.
func (d *Domain) Screenshot(ctx context.Context, moveCursor bool) (*os.File, error) {
	mon, err := d.monitor()
	if err != nil {
		return nil, err
	}
	if moveCursor {
		if err := mon.MovePointer(ctx); err != nil {
			d.Log.Warn("Could not move the guest's pointer before a screenshot", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wakeTime):
		}
	}
	file, err := os.CreateTemp(filepath.Dir(d.StateFile), "screenshot-*.png")
	if err == nil {
		defer func() { _ = os.Remove(file.Name()) }()
		if err = mon.Screendump(ctx, file.Name()); err == nil {
			return file, nil
		}
		err = errors.Join(err, file.Close())
	}
	code := codes.Unavailable
	var refused *qmp.Error
	if errors.As(err, &refused) {
		code = codes.FailedPrecondition
	}
	return nil, api.Wrap(fmt.Errorf("taking a screenshot: %w", err), code, api.ReasonUnavailable)
}
