package phone

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

// stream is a connection that only reads.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(b []byte) (int, error) { return s.Reader.Read(b) }

func record(kind byte, size int) []byte {
	b := []byte{kind, 3, 1}
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	return append(b, bytes.Repeat([]byte{recordApplicationData}, size)...)
}

func TestRecordCounter(t *testing.T) {
	var b []byte
	for _, one := range [][]byte{record(22, 300), record(20, 1), record(23, 0), record(23, 1), record(21, 2), record(23, 16384), record(23, 5)[:5]} {
		b = append(b, one...)
	}
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b)), "by halves": iotest.HalfReader(bytes.NewReader(b))} {
		counter := CountRecords(stream{Reader: r})
		passed, err := io.ReadAll(counter)
		if err != nil || !bytes.Equal(passed, b) || counter.ApplicationData() != 4 {
			t.Errorf("%s: %d records, %d of %d bytes, error %v", name, counter.ApplicationData(), len(passed), len(b), err)
		}
	}
}

// At TLS 1.3 the handshake's records and those of the size of an alert do not count.
func TestRecordCounterAtTLS13(t *testing.T) {
	counter := CountRecords(nil)
	counter.scan(append(record(22, 90), record(23, 400)...))
	before := counter.HandshakeDone(tls.VersionTLS13)
	counter.scan(append(record(23, 29), record(23, tls13Alert)...))
	if before != 1 || counter.ApplicationData() != 2 {
		t.Errorf("%d records, %d after the handshake", before, counter.ApplicationData()-before)
	}
	if before := CountRecords(nil).HandshakeDone(tls.VersionTLS12); before != 0 {
		t.Errorf("%d records in a handshake of TLS 1.2", before)
	}
}

// Whatever passes, and in whatever pieces, the count is the same.
func FuzzRecordCounter(f *testing.F) {
	f.Add(append(record(22, 3), record(23, 7)...), uint8(4))
	f.Add([]byte{23, 3, 1, 0xff, 0xff, 23}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		whole, pieces := CountRecords(nil), CountRecords(nil)
		whole.scan(b)
		for rest := b; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			pieces.scan(rest[:n])
			rest = rest[n:]
		}
		if whole.ApplicationData() != pieces.ApplicationData() || whole.left != pieces.left || whole.have != pieces.have {
			t.Errorf("%x: %d records at once, %d in pieces of %d", b, whole.ApplicationData(), pieces.ApplicationData(), int(size)+1)
		}
	})
}
