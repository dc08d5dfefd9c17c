package domain

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// step is one named part of a start.
type step struct {
	name string
	do   func(context.Context) error
	// undo takes back what do has done; nil where there is nothing to take back.
	undo func()
}

// runSteps does the steps in order. When one fails, those before it are taken back in reverse order.
func runSteps(ctx context.Context, log *slog.Logger, steps []step) error {
	for i, s := range steps {
		began := time.Now()
		err := ctx.Err()
		if err == nil {
			err = s.do(ctx)
		}
		if err == nil {
			log.Debug("Did step of start", "step", s.name, "took", time.Since(began).String())
			continue
		}
		for j := i - 1; j >= 0; j-- {
			if steps[j].undo != nil {
				steps[j].undo()
			}
		}
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}
