package phone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// LineError says that the connection broke, or that there was none. After it a phone tries again, unless
// it never got through.
type LineError struct {
	Doing   string // what the phone was doing
	NoRoute bool   // there was no connection at all
	Err     error
}

func (e *LineError) Error() string {
	if e.NoRoute {
		return fmt.Sprintf("%s: %v: is the server running, is the address right?", e.Doing, e.Err)
	}
	return fmt.Sprintf("the line broke while %s: %v", e.Doing, e.Err)
}

// Unwrap is the cause.
func (e *LineError) Unwrap() error { return e.Err }

// ServerError says that the phone does not take the server for the one in its list.
type ServerError struct {
	Err error
}

func (e *ServerError) Error() string { return fmt.Sprintf("the server's certificate: %v", e.Err) }

// Unwrap is the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// EndError says that the server ended the session without the phone having got what it came for.
type EndError struct {
	Operation capf.Operation // that was begun
	Reason    wire.Reason
	Refusal   error // what the phone itself had refused before, nil if nothing
}

func (e *EndError) Error() string {
	text := fmt.Sprintf("the server ended the session with reason %d (%v): %s", uint8(e.Reason), e.Reason, e.hint())
	if e.Refusal != nil {
		text += fmt.Sprintf("; before that the phone refused: %v", e.Refusal)
	}
	return text
}

// Unwrap is what the phone had refused.
func (e *EndError) Unwrap() error { return e.Refusal }

func (e *EndError) hint() string {
	switch {
	case e.Operation != capf.OperationNone:
		return fmt.Sprintf("operation %s did not come to its end; the server's log says why", e.Operation)
	case e.Reason == wire.ReasonUnknownDevice:
		return "the server does not know the device: add it"
	case e.Reason == wire.ReasonRefused:
		return "it did not take the authentication string or the certificate, or (to a phone of protocol version 2) no operation is pending"
	case e.Reason == wire.ReasonNoAction:
		return "no operation is pending for the device: set one"
	default:
		return "it asked for nothing; its log says why"
	}
}

// line makes a LineError of what is one; all else it wraps.
func line(doing string, err error) error {
	if broken(err) {
		return &LineError{Doing: doing, Err: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// broken tells a broken or silent line from a server that says no. crypto/tls uses net.OpError for alerts
// too, with operations of its own.
func broken(err error) bool {
	if _, drop := errors.AsType[Drop](err); drop {
		return true
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return true
	}
	operation, is := errors.AsType[*net.OpError](err)
	return is && (operation.Op == "read" || operation.Op == "write")
}

// oneLine shows joined errors in one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "; ") }

func (e oneLine) Unwrap() error { return e.error }
