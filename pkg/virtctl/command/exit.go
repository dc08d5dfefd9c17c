package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// Exit codes of virtctl. ssh and scp end with the code of the program that they started.
const (
	// ExitOK means that the command did what it was asked.
	ExitOK = 0
	// ExitFailed means that it did not; the reason stands on standard error.
	ExitFailed = 1
	// ExitUsage means that the command line makes no sense; nothing was asked of the cluster.
	ExitUsage = 2
	// ExitInterrupted means that the user ended it with Ctrl+C.
	ExitInterrupted = 130
)

// usageError is a mistake on the command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// Usagef is an error about the command line itself.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Usage marks an error as one about the command line itself; nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Args makes mistakes in the number of arguments usage errors.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return Usage(check(cmd, args)) }
}

// ExitError is how a program ended that a command ran for the user, whose exit code it passes on. It has told its reason
// itself.
type ExitError struct {
	// Code is the exit code.
	Code int
	// Program is what was run.
	Program string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s ended with exit code %d", e.Program, e.Code)
}

// ExitCode is the exit code of the program after err.
func ExitCode(err error) int {
	var exit *ExitError
	var usage usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &usage):
		return ExitUsage
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// IsUsage says whether an error is about the command line itself.
func IsUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage)
}
