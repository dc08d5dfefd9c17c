package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// dialError says why a port of a guest could not be reached: what the guest has done is no failure of ours. where names the port.
func dialError(where string, err error) error {
	var known apierrors.APIStatus
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		// A socket between a guest and its node is reset where nobody listens.
		return apierrors.NewServiceUnavailable(fmt.Sprintf("%s: connection refused: nothing listens there in the guest, or the guest refuses it", where))
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENODEV):
		return apierrors.NewServiceUnavailable(fmt.Sprintf("%s: the guest cannot be reached: its network or driver is not up: %v", where, err))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return apierrors.NewTimeoutError(fmt.Sprintf("%s: the guest has not answered within %s: it still boots, or drops the packets", where, dialTimeout), 0)
	}
	return apierrors.NewInternalError(fmt.Errorf("%s: %w", where, err))
}
