package wire

import (
	"errors"
	"fmt"
)

// MagicError says that what came does not begin like a message.
type MagicError struct {
	Got byte
}

func (e *MagicError) Error() string {
	return fmt.Sprintf("message begins with 0x%02x, not 0x%02x: not a CAPF message", e.Got, byte(Magic))
}

// TruncatedError says that a message ended before it was whole. Where a stream ended inside a message, it
// wraps io.ErrUnexpectedEOF.
type TruncatedError struct {
	Got, Want int // bytes
	cause     error
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("message ends after %d of %d bytes", e.Got, e.Want)
}

// Unwrap is the cause, nil where a slice was too short.
func (e *TruncatedError) Unwrap() error { return e.cause }

// LengthError says that a message or an element is longer than it may be, or holds more than it may.
type LengthError struct {
	What     string
	Got, Max int
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("%s: %d, at most %d allowed", e.What, e.Got, e.Max)
}

// MalformedError says that the elements of a message are not what the layout asks for. It never carries
// the value of an element.
type MalformedError struct {
	Command Command
	Offset  int // bytes from the start of the message; 0 where a single place cannot be named
	Tag     Tag // 0 where none is concerned
	Problem string
}

func (e *MalformedError) Error() string {
	text := e.Command.String()
	if e.Offset > 0 {
		text += fmt.Sprintf(", byte %d", e.Offset)
	}
	if e.Tag > 0 {
		text += ", " + e.Tag.String()
	}
	return text + ": " + e.Problem
}

// CommandError says that another message came than the one that was asked for.
type CommandError struct {
	Got, Want Command
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%v came in place of %v", e.Got, e.Want)
}

// IsProtocol says whether an error is the other side breaking the protocol (a message that is none, is too
// long, malformed or out of turn), in contrast to a broken line, a line that ends inside a message, or a
// passed deadline.
func IsProtocol(err error) bool {
	if truncated, is := errors.AsType[*TruncatedError](err); is {
		return truncated.cause == nil
	}
	return isA[*MagicError](err) || isA[*LengthError](err) || isA[*MalformedError](err) || isA[*CommandError](err)
}

func isA[T error](err error) bool {
	_, is := errors.AsType[T](err)
	return is
}
