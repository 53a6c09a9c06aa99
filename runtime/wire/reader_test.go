package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"unsafe"
)

// halting is a stream that gives a byte and then a passed deadline, in turn.
type halting struct {
	from io.Reader
	late bool
}

func (h *halting) Read(b []byte) (int, error) {
	if h.late = !h.late; h.late {
		return 0, os.ErrDeadlineExceeded
	}
	return h.from.Read(b[:1])
}

// Reading that is given up at every byte and taken up again loses nothing.
func TestReaderGoesOn(t *testing.T) {
	for _, recording := range recorded(t) {
		stream, reader := &halting{from: bytes.NewReader(append(bytes.Clone(recording.bytes), recording.bytes...))}, Reader{}
		for range 2 {
			interrupted := 0
			m, err := reader.Next(stream, MaxElements)
			for ; errors.Is(err, os.ErrDeadlineExceeded); m, err = reader.Next(stream, MaxElements) {
				interrupted++
			}
			if b, encodeErr := Encode(m); err != nil || encodeErr != nil || !bytes.Equal(b, recording.bytes) || interrupted != len(recording.bytes) {
				t.Fatalf("%s: %x after %d interruptions, error %v, want %x", recording.session, b, interrupted, err, recording.bytes)
			}
			if reader.got != 0 || reader.body != nil {
				t.Errorf("%s: kept between two messages: %d, %x", recording.session, reader.got, reader.body)
			}
		}
		if _, err := reader.Next(bytes.NewReader(nil), MaxElements); err != io.EOF {
			t.Errorf("after the last: %v", err)
		}
	}
}

// A stream that ends is told from a message that does, also where reading was taken up again.
func TestReaderEndsInsideAMessage(t *testing.T) {
	whole := recorded(t)[0].bytes
	for length := 1; length < len(whole); length++ {
		var reader Reader
		broken := errors.New("given up")
		if _, err := reader.Next(io.MultiReader(bytes.NewReader(whole[:length]), &failingReader{broken}), MaxElements); !errors.Is(err, broken) {
			t.Fatalf("after %d bytes: %v", length, err)
		}
		if _, err := reader.Next(bytes.NewReader(nil), MaxElements); !errors.Is(err, io.ErrUnexpectedEOF) || IsProtocol(err) {
			t.Errorf("the end after %d bytes: %v", length, err)
		}
	}
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }

// The length is held against its bound before there is memory for it, and a session that waits holds little.
func TestReaderIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Reader{}); size > 64 {
		t.Errorf("a reader at rest takes %d bytes", size)
	}
	var reader Reader
	_, err := reader.Next(bytes.NewReader([]byte("\x55\x04\x00\x00\x00\x01\xff\xff")), MaxElements)
	if _, is := errors.AsType[*LengthError](err); !is || reader.body != nil {
		t.Errorf("%d bytes taken, %v", len(reader.body), err)
	}
}
