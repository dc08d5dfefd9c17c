package qmp

import (
	"errors"
	"fmt"
)

// Sentinel errors of a connection.
var (
	// ErrClosed is returned when the connection has ended, by QEMU or by Close, before a reply arrived.
	ErrClosed = errors.New("qmp: connection closed")
	// ErrTimeout is returned when QEMU did not reply in the time that the command has.
	ErrTimeout = errors.New("qmp: no reply in time")
	// ErrMessageTooLarge is returned when QEMU sends a message beyond the limit; the connection ends with it.
	ErrMessageTooLarge = errors.New("qmp: message too large")
	// ErrProtocol is returned when the other end does not speak QMP.
	ErrProtocol = errors.New("qmp: protocol violated")
)

// Error is QEMU's own answer to a command that it refused.
type Error struct {
	Command string
	// Class is one of QEMU's error classes, mostly GenericError.
	Class string
	// Desc is meant for people; programs must not look into it.
	Desc string
}

func (e *Error) Error() string { return fmt.Sprintf("qmp %s: %s (%s)", e.Command, e.Desc, e.Class) }

// Error classes that mean something to a program.
const (
	ClassGeneric         = "GenericError"
	ClassCommandNotFound = "CommandNotFound"
	ClassDeviceNotActive = "DeviceNotActive"
	ClassDeviceNotFound  = "DeviceNotFound"
)

// IsClass tells whether err is QEMU's answer with this error class.
func IsClass(err error, class string) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == class
}
