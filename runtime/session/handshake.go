package session

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"capf/runtime/capf"
)

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
