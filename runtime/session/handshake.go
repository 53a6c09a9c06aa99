package session

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"capf/runtime/capf"
)

// The handshake, and what it goes by.

// failHandshake counts and keeps a handshake that came to nothing, unless the service is about to stop.
func (v *view) failHandshake(ctx context.Context, kind capf.HandshakeFailureKind, err error) {
	if ctx.Err() != nil {
		return
	}
	v.server.observer().HandshakeFailed(kind)
	v.server.failures.add(v.entry.look().Address, kind, err.Error(), v.server.Clock())
}

var errNoPlace = errors.New("no free place until the handshake timeout: closed, so that the phone tries again")

// handshakeKinds tells failures apart by what crypto/tls says of them: it has types for few. A test makes
// each of them, so that a change of the words shows.
var handshakeKinds = []struct {
	words string
	kind  capf.HandshakeFailureKind
}{
	{"unsupported versions", capf.HandshakeVersion},
	{"protocol version", capf.HandshakeVersion},
	{"no cipher suite supported", capf.HandshakeCipher},
	{"no mutually supported", capf.HandshakeCipher},
	{"no supported elliptic curves", capf.HandshakeCipher},
	{"doesn't support any of the certificate's signature algorithms", capf.HandshakeCipher},
	{"peer doesn't support", capf.HandshakeCipher},
}

// distrust are the alerts by which the other side says that it does not take our certificate.
var distrust = []string{"bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
	"unknown certificate", "unknown certificate authority"}

func kindOfHandshake(err error) capf.HandshakeFailureKind {
	var notTLS tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return capf.HandshakeTimeout
	case errors.As(err, &notTLS):
		return capf.HandshakeNotTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed):
		return capf.HandshakeClosed
	}
	if remote, is := errors.AsType[*net.OpError](err); is && remote.Op == "remote error" {
		return kindOfAlert(strings.TrimPrefix(remote.Err.Error(), "tls: "))
	}
	for _, known := range handshakeKinds {
		if strings.Contains(err.Error(), known.words) {
			return known.kind
		}
	}
	return capf.HandshakeOther
}

func kindOfAlert(words string) capf.HandshakeFailureKind {
	for _, one := range distrust {
		if words == one {
			return capf.HandshakeDistrusted
		}
	}
	if strings.Contains(words, "protocol version") {
		return capf.HandshakeVersion
	}
	return capf.HandshakeAlert
}

const (
	maxFailureAddresses = 4096 // whose failures are kept; the one that was quiet longest goes first
	maxFailureReason    = 200  // bytes
)

// failureTable keeps the handshakes that failed, a line an address, in memory: whoever has not
// authenticated may change nothing in the store.
type failureTable struct {
	mu        sync.Mutex
	addresses map[string]*list.Element
	order     list.List // of *capf.HandshakeFailures, the newest in front
}

func (t *failureTable) add(address string, kind capf.HandshakeFailureKind, reason string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.addresses == nil {
		t.addresses = make(map[string]*list.Element)
	}
	place, known := t.addresses[address]
	if !known {
		place = t.order.PushFront(&capf.HandshakeFailures{Address: address, First: now})
		t.addresses[address] = place
		t.makeRoom()
	}
	t.order.MoveToFront(place)
	line := place.Value.(*capf.HandshakeFailures)
	line.Count++
	line.Last, line.Kind, line.Reason = now, kind, strings.ToValidUTF8(reason[:min(len(reason), maxFailureReason)], "?")
}

func (t *failureTable) makeRoom() {
	for t.order.Len() > maxFailureAddresses {
		quietest := t.order.Back()
		delete(t.addresses, quietest.Value.(*capf.HandshakeFailures).Address)
		t.order.Remove(quietest)
	}
}

// HandshakeFailures gives the addresses from which handshakes failed since the service started, the newest
// first; of one address only where it is not "".
func (s *Server) HandshakeFailures(address string) []capf.HandshakeFailures {
	s.failures.mu.Lock()
	defer s.failures.mu.Unlock()
	all := []capf.HandshakeFailures{}
	for place := s.failures.order.Front(); place != nil; place = place.Next() {
		if line := *place.Value.(*capf.HandshakeFailures); address == "" || line.Address == address {
			all = append(all, line)
		}
	}
	return all
}

// cipherSuites are offered up to TLS 1.2, best first. The last three are what phones of the CallManager
// 4.1 era speak: RSA key exchange with AES or 3DES in CBC mode [P].
var cipherSuites = []uint16{
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
}

// tlsConfig is the server's side of a handshake: its certificate alone, no certificate of the phone [C].
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{s.Certificate},
		MinVersion:   s.Settings.MinTLS,
		MaxVersion:   maxTLS(s.Certificate),
		CipherSuites: cipherSuites,
		// A phone calls once and is done: a ticket would cost records and be used by nobody.
		SessionTicketsDisabled: true,
		// A message must leave in one record [P].
		DynamicRecordSizingDisabled: true,
		// What is said here is worth nothing once the session is over, so no hybrid key exchange,
		// which would double the handshake's bytes.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
}

// maxTLS is the highest version that a certificate's key can sign for; 0: whatever there is. TLS 1.3 knows RSA
// signatures with PSS only, which not every token can make.
func maxTLS(certificate tls.Certificate) uint16 {
	schemes := certificate.SupportedSignatureAlgorithms
	if schemes != nil && !slices.Contains(schemes, tls.PSSWithSHA256) {
		return tls.VersionTLS12
	}
	return 0
}

// SplitsRecords tries, over a pipe, whether a message of this program leaves in two TLS records at TLS 1.0
// with a CBC suite, as it does when it was built without the overlay. Phones of the 79xx family stall then.
func SplitsRecords(certificate tls.Certificate) (bool, error) {
	near, far := net.Pipe()
	counted := &recordCounter{Conn: near}
	server := (&Server{Certificate: certificate, Settings: Settings{MinTLS: tls.VersionTLS10}}).tlsConfig()
	failed := make(chan error, 1)
	go func() {
		conn := tls.Server(counted, server)
		err := conn.Handshake()
		if err == nil {
			counted.applicationData = 0
			_, err = conn.Write(make([]byte, 16))
		}
		failed <- err
		_ = near.Close()
	}()
	client := tls.Client(far, &tls.Config{
		// It is our own certificate, over a pipe in this process.
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS10, MaxVersion: tls.VersionTLS10,
		// The second is for keys in tokens that cannot decrypt.
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
	})
	defer far.Close()
	if err := far.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return false, fmt.Errorf("try a handshake at TLS 1.0: %w", err)
	}
	for got := 0; got < 16; {
		n, err := client.Read(make([]byte, 16))
		if err != nil {
			return false, fmt.Errorf("try a handshake at TLS 1.0: %w", err)
		}
		got += n
	}
	if err := <-failed; err != nil {
		return false, fmt.Errorf("try a handshake at TLS 1.0: %w", err)
	}
	return counted.applicationData > 1, nil
}

// recordCounter counts the application-data records that are written through it. crypto/tls writes whole
// records, one or more a call.
type recordCounter struct {
	net.Conn
	applicationData int
}

const (
	recordHeader          = 5
	recordApplicationData = 23
)

func (c *recordCounter) Write(b []byte) (int, error) {
	for rest := b; len(rest) >= recordHeader; {
		if rest[0] == recordApplicationData {
			c.applicationData++
		}
		length := recordHeader + int(rest[3])<<8 + int(rest[4])
		rest = rest[min(length, len(rest)):]
	}
	return c.Conn.Write(b)
}

func tlsName(version uint16) string {
	switch version {
	case tls.VersionTLS10:
		return "1.0"
	case tls.VersionTLS11:
		return "1.1"
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return fmt.Sprintf("0x%04x", version)
}
