package main

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
)

// errWatchEnded is when a watch ends although nobody stopped it: what it should have told is not known.
var errWatchEnded = errors.New("a watch ended before its time")

// next waits for an event of a watch; ok is false once ctx has ended. A watch that ends by itself is an error.
func next(ctx context.Context, w watch.Interface) (event watch.Event, ok bool, err error) {
	select {
	case <-ctx.Done():
		return watch.Event{}, false, nil
	case event, ok = <-w.ResultChan():
	}
	switch {
	case ctx.Err() != nil: // which also ends the watch, with whatever error
		return watch.Event{}, false, nil
	case !ok:
		return watch.Event{}, false, errWatchEnded
	case event.Type == watch.Error:
		return watch.Event{}, false, apierrors.FromObject(event.Object)
	}
	return event, true, nil
}

// orCause is why something has ended: err, or what ended ctx.
func orCause(ctx context.Context, err error) error {
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}
