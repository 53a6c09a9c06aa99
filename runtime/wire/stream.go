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

// Reader reads the messages of one stream where reading may be given up and taken up again, as at a deadline
// that passes inside a message. It keeps the bytes of a message that has begun, and nothing between two. The
// zero Reader is ready.
type Reader struct {
	header [HeaderSize]byte
	got    int    // bytes of the message, header included
	body   []byte // of the size that the header says; nil until the header is whole, and for an empty one
}

// Next is [ReadMessage], save that the bytes that have come of a message stay after an error of the stream:
// the next call goes on behind them. After another error the stream cannot be read any further.
func (d *Reader) Next(r io.Reader, max int) (Message, error) {
	if err := d.fill(r, d.header[:], 0, HeaderSize); err != nil {
		return Message{}, err
	}
	m, length, err := decodeHeader(d.header[:])
	if err != nil {
		return Message{}, err
	}
	if max = min(max, MaxElements); length > max {
		return Message{}, &LengthError{What: "bytes of elements in " + m.Command.String(), Got: length, Max: max}
	}
	if length > 0 && d.body == nil {
		d.body = make([]byte, length)
	}
	if err := d.fill(r, d.body, HeaderSize, HeaderSize+length); err != nil {
		return Message{}, err
	}
	body := d.body
	d.got, d.body = 0, nil
	if m.Elements, err = decodeElements(m.Command, body); err != nil {
		return Message{}, err
	}
	return m, nil
}

// fill reads what is missing in a part of the message, which begins at byte `from` of it; want is where it
// ends.
func (d *Reader) fill(r io.Reader, part []byte, from, want int) error {
	if d.got >= want {
		return nil
	}
	n, err := io.ReadFull(r, part[d.got-from:])
	d.got += n
	if err != nil {
		return readError(d.got, want, err)
	}
	return nil
}

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
