package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestDialErrors: what the guest refuses is told as that, and only what is wrong with us as an internal error.
func TestDialErrors(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("from the pod's network: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	for _, tc := range []struct {
		err  error
		code int32
		text string
	}{
		{dial(syscall.ECONNREFUSED), 503, "port 22/tcp: connection refused: nothing listens there in the guest"},
		{fmt.Errorf("connecting: %w", syscall.ECONNRESET), 503, "port 22/tcp: connection refused"},
		{dial(syscall.EHOSTUNREACH), 503, "port 22/tcp: the guest cannot be reached"},
		{fmt.Errorf("connecting: %w", syscall.ENODEV), 503, "port 22/tcp: the guest cannot be reached"},
		{dial(syscall.ETIMEDOUT), 504, "port 22/tcp: the guest has not answered within 10s"},
		{context.DeadlineExceeded, 504, "port 22/tcp: the guest has not answered within 10s"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, 504, "port 22/tcp: the guest has not answered within 10s"},
		{apierrors.NewBadRequest("port 22/tcp is not among the ports"), 400, "port 22/tcp is not among the ports"},
		{errors.New("no namespace"), 500, "Internal error occurred: port 22/tcp: no namespace"},
	} {
		var status apierrors.APIStatus
		if err := dialError("port 22/tcp", tc.err); !errors.As(err, &status) || status.Status().Code != tc.code || !strings.HasPrefix(status.Status().Message, tc.text) &&
			!strings.Contains(status.Status().Message, tc.text) {
			t.Errorf("%v gives %v, want %d %q", tc.err, err, tc.code, tc.text)
		} else if tc.code != 500 && strings.Contains(err.Error(), "Internal error") {
			t.Errorf("%v gives %v", tc.err, err)
		}
	}
	if err := dialError("port 22/tcp", nil); err != nil {
		t.Errorf("no error gives %v", err)
	}
}
