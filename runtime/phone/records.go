package phone

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"sync/atomic"
)

// The header of a TLS record: type, version, length (RFC 5246, section 6.2.1; the same at all versions).
const (
	recordHeader          = 5
	recordApplicationData = 23

	// tls13Alert is the content of a record that hides an alert at TLS 1.3: level, description, the type
	// that is hidden, and the tag of the cipher (RFC 8446, sections 5.2 and 6).
	tls13Alert = 2 + 1 + 16
)

// RecordCounter is a connection below TLS that reads the headers of the records that arrive and counts
// those with application data, independently of crypto/tls.
//
// Up to TLS 1.2 these are exactly the records of messages. At TLS 1.3 everything after the first messages
// of the handshake, alerts and tickets too, looks like application data from outside. There the count tells
// something only from the end of the handshake on, with a server that sends no tickets, and when records
// of the size of an alert are left out: the notice at the end of a session is read together with its last
// message. A piece of a message that has two bytes would be left out with them.
type RecordCounter struct {
	net.Conn
	header [recordHeader]byte
	have   int // bytes of the header that have passed
	left   int // bytes of the record's content that are still to pass
	data   atomic.Int64
	tls13  bool // leave out what has the size of an alert
}

// CountRecords counts what is read through the connection that it returns.
func CountRecords(connection net.Conn) *RecordCounter { return &RecordCounter{Conn: connection} }

// HandshakeDone tells the counter the version that was agreed on, and gives the count until then; from
// there on a difference of counts is one of messages. To be called before the next Read.
func (c *RecordCounter) HandshakeDone(version uint16) int {
	if c.tls13 = version >= tls.VersionTLS13; c.tls13 {
		return c.ApplicationData()
	}
	return 0 // the first message may have been read together with the end of the handshake
}

// Read reads and counts. As for every connection, one reader at a time.
func (c *RecordCounter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.scan(b[:n])
	return n, err
}

// ApplicationData is the number of records of that type whose header has passed.
func (c *RecordCounter) ApplicationData() int { return int(c.data.Load()) }

// scan follows the stream, in whatever pieces it comes.
func (c *RecordCounter) scan(b []byte) {
	for len(b) > 0 {
		if c.left > 0 {
			content := min(c.left, len(b))
			c.left -= content
			b = b[content:]
			continue
		}
		copied := copy(c.header[c.have:], b)
		c.have += copied
		b = b[copied:]
		if c.have == recordHeader {
			c.begin()
		}
	}
}

// begin notes a record whose header is whole.
func (c *RecordCounter) begin() {
	c.have, c.left = 0, int(binary.BigEndian.Uint16(c.header[3:]))
	if alert := c.tls13 && c.left == tls13Alert; c.header[0] == recordApplicationData && !alert {
		c.data.Add(1)
	}
}
