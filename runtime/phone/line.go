package phone

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"capf/ctl"
	"capf/runtime/wire"
)

// The line to the server: whom the phone takes for it, TLS, and the records that come in.

// connection is a line to the server: TCP, the counter of records, TLS.
type connection struct {
	raw     net.Conn
	counter *RecordCounter
	tls     *tls.Conn
	timeout time.Duration
	counted int // records that belong to messages before
	release func() bool
}

// connect opens the line and shakes hands. The context ends it at any time.
func (p *Phone) connect(ctx context.Context) (*connection, error) {
	dialer := net.Dialer{Timeout: p.config.Timeout}
	raw, err := dialer.DialContext(ctx, "tcp", p.config.Server)
	if err != nil {
		return nil, &LineError{Doing: "connecting to " + p.config.Server, NoRoute: true, Err: err}
	}
	counter := CountRecords(raw)
	c := &connection{raw: raw, counter: counter, timeout: p.config.Timeout,
		tls: tls.Client(counter, p.config.TLS.config(p.config.VerifyServer))}
	c.release = context.AfterFunc(ctx, func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(c.timeout))
	if err := c.tls.HandshakeContext(ctx); err != nil {
		c.close()
		return nil, line("making the TLS handshake with "+p.config.Server, err)
	}
	c.counted = counter.HandshakeDone(c.tls.ConnectionState().Version)
	return c, nil
}

// read awaits a message, and counts the records that it came in. The server never sends two messages
// without an answer in between, so that what was read is of this one alone.
func (c *connection) read() (wire.Message, int, error) {
	_ = c.raw.SetDeadline(time.Now().Add(c.timeout))
	m, err := wire.ReadMessage(c.tls, wire.MaxElements)
	if err != nil {
		return wire.Message{}, 0, line("waiting for a message", err)
	}
	records := c.counter.ApplicationData() - c.counted
	c.counted += records
	return m, records, nil
}

func (c *connection) write(m wire.Message) error {
	_ = c.raw.SetDeadline(time.Now().Add(c.timeout))
	if err := wire.WriteMessage(c.tls, m); err != nil {
		return line(fmt.Sprintf("sending %v", m.Command), err)
	}
	return nil
}

// close ends the line as TLS asks for it.
func (c *connection) close() {
	c.release()
	_ = c.tls.Close()
}

// drop breaks the line.
func (c *connection) drop(how Drop) {
	c.release()
	switch how {
	case DropNotify:
		_ = c.tls.Close()
	case DropRST:
		if tcp, is := c.raw.(*net.TCPConn); is {
			_ = tcp.SetLinger(0)
		}
	}
	_ = c.raw.Close()
}

// TLS is what a phone offers in its handshake. The zero value is a phone that speaks everything.
type TLS struct {
	Min, Max     uint16   // tls.VersionTLS10 and so on; 0: 1.0 and 1.3
	CipherSuites []uint16 // up to TLS 1.2; nil: those of phones of that age
}

// TLSOnly is a phone that speaks exactly one version.
func TLSOnly(version uint16) TLS { return TLS{Min: version, Max: version} }

var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// ParseTLSVersion reads 1.0, 1.1, 1.2 or 1.3.
func ParseTLSVersion(text string) (uint16, error) {
	version, known := tlsVersions[text]
	if !known {
		return 0, fmt.Errorf("TLS version %q: use 1.0, 1.1, 1.2 or 1.3", text)
	}
	return version, nil
}

var (
	// What phones of the CallManager 4.1 era speak: RSA key exchange and AES128-SHA or 3DES [P].
	oldSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
	// Newer phones reach TLS 1.2; which suites they offer is a choice of the simulation.
	newSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
)

func (t TLS) filled() TLS {
	t.Min, t.Max = cmp.Or(t.Min, tls.VersionTLS10), cmp.Or(t.Max, tls.VersionTLS13)
	if t.CipherSuites == nil && t.Max < tls.VersionTLS12 {
		t.CipherSuites = oldSuites
	} else if t.CipherSuites == nil {
		t.CipherSuites = newSuites
	}
	return t
}

func (t TLS) check() error {
	if t = t.filled(); t.Min > t.Max || t.Min < tls.VersionTLS10 || t.Max > tls.VersionTLS13 {
		return fmt.Errorf("TLS versions %s to %s: use 1.0 to 1.3", tls.VersionName(t.Min), tls.VersionName(t.Max))
	}
	return nil
}

// config is the client's side. The phone knows no authorities and no host names: it compares the server's
// certificate with its list [P], and sends no server name. Without a cache of sessions it offers no
// resumption, so that a server of TLS 1.3 has no tickets to send among the messages.
func (t TLS) config(verify VerifyServer) *tls.Config {
	t = t.filled()
	return &tls.Config{
		MinVersion:                  t.Min,
		MaxVersion:                  t.Max,
		CipherSuites:                t.CipherSuites,
		InsecureSkipVerify:          true, // VerifyConnection does it
		DynamicRecordSizingDisabled: true, // a message is one record
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return &ServerError{Err: errors.New("there is none")}
			}
			if err := verify(state.PeerCertificates[0]); err != nil {
				return &ServerError{Err: err}
			}
			return nil
		},
	}
}

// TrustList is how a phone checks a server: against the records with the CAPF role of its certificate
// trust list [P]. The list's own signature is verified first; the server's certificate must then equal
// that of a record, byte by byte. Dates and issuers do not count: the list is the authority.
func TrustList(file []byte) (VerifyServer, error) {
	verified, err := ctl.Verify(file)
	if err != nil {
		return nil, fmt.Errorf("CTL file: %w", err)
	}
	trusted, err := verified.File.Certificates(ctl.RoleCAPF)
	if err != nil {
		return nil, fmt.Errorf("CTL file: %w", err)
	}
	if len(trusted) == 0 {
		return nil, errors.New("CTL file: it has no record with the CAPF role: build one after CAPF has been activated")
	}
	return func(certificate *x509.Certificate) error {
		for _, one := range trusted {
			if bytes.Equal(one.Raw, certificate.Raw) {
				return nil
			}
		}
		return fmt.Errorf("%s, serial number %x, is none of the %d in the CTL file with the CAPF role: "+
			"build and distribute a list with it", certificate.Subject, certificate.SerialNumber, len(trusted))
	}, nil
}

// AnyServer takes every server. It is for trials only: a phone without a list enrols with whoever answers.
func AnyServer(*x509.Certificate) error { return nil }

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
