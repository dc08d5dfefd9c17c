package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errorDomain stands in the ErrorInfo of each error that crosses the socket.
const errorDomain = "launcher.kubevirt.io"

// Reasons of errors and of states. They are part of the protocol: callers put them into conditions and events.
const (
	ReasonInvalidSpec          = "InvalidSpec"
	ReasonUnsupportedField     = "UnsupportedField"
	ReasonWrongInstance        = "WrongInstance"
	ReasonImageMissing         = "ImageMissing"
	ReasonImageAmbiguous       = "ImageAmbiguous"
	ReasonImageUnreadable      = "ImageUnreadable"
	ReasonImageFormatUnknown   = "ImageFormatUnknown"
	ReasonImageTooLarge        = "ImageTooLarge"
	ReasonImageHasBackingFile  = "ImageHasBackingFile"
	ReasonImageHasExternalData = "ImageHasExternalData"
	ReasonKernelMissing        = "KernelMissing"
	ReasonCloudInitInvalid     = "CloudInitInvalid"
	ReasonSecretMissing        = "SecretMissing"
	ReasonClaimUnavailable     = "ClaimUnavailable"
	ReasonHostDiskUnavailable  = "HostDiskUnavailable"
	ReasonVolumeUnavailable    = "VolumeUnavailable"
	ReasonSysprepInvalid       = "SysprepInvalid"
	ReasonFirmwareMissing      = "FirmwareMissing"
	ReasonCPUsUnavailable      = "CPUsUnavailable"
	ReasonNetworkUnavailable   = "NetworkUnavailable"
	ReasonNoSpace              = "NoSpace"
	ReasonQEMUFailed           = "QEMUFailed"
	ReasonQEMUKilled           = "QEMUKilled"
	ReasonStartFailed          = "StartFailed"
	ReasonNotStarted           = "NotStarted"
	ReasonNotRunning           = "NotRunning"
	ReasonEnded                = "Ended"
	ReasonAgentUnavailable     = "AgentUnavailable"
	ReasonAgentRefused         = "AgentRefused"
	ReasonCredentialsRefused   = "CredentialsRefused"
	ReasonUnavailable          = "Unavailable"

	ReasonPausedByUser        = "PausedByUser"
	ReasonPausedIOError       = "PausedIOError"
	ReasonPausedWatchdog      = "PausedWatchdog"
	ReasonPausedGuestPanic    = "PausedGuestPanic"
	ReasonPausedShutdown      = "PausedShutdown"
	ReasonPausedUnknown       = "PausedUnknown"
	ReasonPausedStartStrategy = "PausedStartStrategy"
	ReasonStopRequested       = "StopRequested"
	ReasonGuestShutdown       = "GuestShutdown"
	ReasonGuestRebooted       = "GuestRebooted"
	ReasonKilled              = "Killed"
	ReasonGracePeriodExceeded = "GracePeriodExceeded"
	ReasonGuestPanicked       = "GuestPanicked"
	ReasonWatchdogExpired     = "WatchdogExpired"
	ReasonGuestReset          = "GuestReset"
	ReasonEndUnknown          = "EndUnknown"

	ReasonFieldsWithoutEffect = "FieldsWithoutEffect"
	ReasonDHCPOptionsLeftOut  = "DHCPOptionsLeftOut"
)

// Error is a failure with the reason that a user will see.
type Error struct {
	Code   codes.Code
	Reason string
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// GRPCStatus has gRPC send the reason along.
func (e *Error) GRPCStatus() *status.Status {
	st := status.New(e.Code, e.Err.Error())
	if with, err := st.WithDetails(&errdetails.ErrorInfo{Domain: errorDomain, Reason: e.Reason}); err == nil {
		return with
	}
	return st
}

// Errorf makes an Error; %w works in format.
func Errorf(code codes.Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Wrap gives err a code and a reason unless it has them already. A full disk is told as such wherever it was met.
func Wrap(err error, code codes.Code, reason string) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return &Error{Code: own.Code, Reason: own.Reason, Err: err}
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &Error{Code: codes.ResourceExhausted, Reason: ReasonNoSpace, Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Error{Code: codes.Unavailable, Reason: ReasonUnavailable, Err: err}
	case errors.Is(err, fs.ErrPermission) && reason == "":
		return &Error{Code: codes.FailedPrecondition, Reason: ReasonStartFailed, Err: err}
	}
	return &Error{Code: code, Reason: reason, Err: err}
}

// ReasonOf reads the reason out of an error, on either side of the socket; empty if it has none.
func ReasonOf(err error) string {
	var own *Error
	if errors.As(err, &own) {
		return own.Reason
	}
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			return info.GetReason()
		}
	}
	return ""
}

// Permanent says whether the same call can only fail again while VMI, images and secrets stay as they are.
func Permanent(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.Unimplemented:
		return true
	}
	return false
}
