package wire

import (
	"errors"
	"fmt"
	"io"
)

// ReadMessage reads one message from a stream. max is the most bytes of elements that the caller takes,
// at most [MaxElements]; the length is held against it before anything is allocated. Between two calls
// nothing is kept: the memory of a message is as large as the message and goes with it, so that a session
// that waits for a slow phone holds none.
//
// Errors: io.EOF where the stream ended between two messages; a *[TruncatedError] with
// io.ErrUnexpectedEOF where it ended inside one; *[MagicError], *[LengthError], *[MalformedError];
// everything else is the error of the stream, wrapped.
func ReadMessage(r io.Reader, max int) (Message, error) { return new(Reader).Next(r, max) }

// readError tells the end of a stream inside a message from the end between two, and from a broken line.
func readError(got, want int, err error) error {
	switch {
	case errors.Is(err, io.EOF) && got == 0:
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &TruncatedError{Got: got, Want: want, cause: io.ErrUnexpectedEOF}
	default:
		return fmt.Errorf("reading a message, after %d of %d bytes: %w", got, want, err)
	}
}

// WriteMessage writes one message with exactly one call of Write, so that it leaves in one TLS record: a
// phone that gets header and body in two stalls [P]. A message of more than [MaxMessage] bytes would not,
// and is refused with a *[LengthError].
func WriteMessage(w io.Writer, m Message) error {
	b, err := Encode(m)
	if err != nil {
		return err
	}
	if len(b) > MaxMessage {
		return &LengthError{What: "bytes of a message", Got: len(b), Max: MaxMessage}
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("writing %v: %w", m.Command, err)
	}
	return nil
}
