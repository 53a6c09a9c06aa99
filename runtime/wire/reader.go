package wire

import "io"

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
