package session_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/session"
	"capf/runtime/store/sqlite"
	"capf/runtime/wire"
)

// cutter is a line that carries a part of what is written to it, and the rest when it is told to.
type cutter struct {
	net.Conn
	cutAt int // bytes of the next write that leave at once; 0: all
	rest  []byte
}

func (c *cutter) Write(b []byte) (int, error) {
	if c.cutAt == 0 {
		return c.Conn.Write(b)
	}
	c.rest = append([]byte(nil), b[c.cutAt:]...)
	n, err := c.Conn.Write(b[:c.cutAt])
	c.cutAt = 0
	return n + len(c.rest), err
}

// halting is a phone that has said its name and was asked for an EC key for the first time.
type halting struct {
	t    *testing.T
	line *cutter
	conn *tls.Conn
	id   uint32
}

func (s *service) halting(t *testing.T, version uint16) *halting {
	t.Helper()
	plain, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	if err := plain.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	line := &cutter{Conn: plain}
	h := &halting{t: t, line: line, conn: tls.Client(line, &tls.Config{InsecureSkipVerify: true, // the test is about what comes after
		MinVersion: version, MaxVersion: version, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}})}
	h.id = h.expect(wire.CommandAuthenticationRequest).SessionID
	h.write(mustEncode(t, answer(device).Message(h.id)))
	h.expect(wire.CommandKeyGenerationRequest)
	return h
}

func (h *halting) expect(command wire.Command) wire.Message {
	h.t.Helper()
	message, err := wire.ReadMessage(h.conn, wire.MaxElements)
	if err != nil || message.Command != command {
		h.t.Fatalf("%v came, %v; want %v", message, err, command)
	}
	return message
}

func (h *halting) write(b []byte) {
	h.t.Helper()
	if _, err := h.conn.Write(b); err != nil {
		h.t.Fatal(err)
	}
}

// key is the message with a public key.
func (h *halting) key() []byte {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	encoded, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		h.t.Fatal(err)
	}
	return mustEncode(h.t, wire.KeyGenerationResponse{Reason: wire.Some(wire.ReasonSuccess), PublicKey: encoded}.Message(h.id))
}

// slowKeys is a service that gives a phone that long for each of so many attempts.
func slowKeys(t *testing.T, within time.Duration, attempts string) *service {
	t.Helper()
	s := newService(t, usual())
	s.change(func(server *session.Server) { server.KeyGenerationTime = within })
	if err := s.store.SetParameter(t.Context(), capf.ParamKeyGenerationAttempts, attempts, "test"); err != nil {
		t.Fatal(err)
	}
	s.pending(device, capf.OperationInstall, capf.P256)
	return s
}

// C4, C5: an answer that arrives across the deadline counts, wherever the deadline cuts it: in the header or
// the elements of the message, or in the record of TLS that carries it. The second request is the sign that the
// deadline has passed.
func TestKeyAcrossTheDeadline(t *testing.T) {
	s := slowKeys(t, 100*time.Millisecond, "100") // as many as a slow machine may need
	for name, part := range map[string]int{"in the header": 3, "behind the header": wire.HeaderSize, "in the elements": wire.HeaderSize + 20} {
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				s.pending(device, capf.OperationInstall, capf.P256)
				h := s.halting(t, version)
				key := h.key()
				h.write(key[:part])
				h.expect(wire.CommandKeyGenerationRequest)
				h.write(key[part:])
				h.checkInstalled(s)
			})
		}
	}
	for name, cutAt := range map[string]int{"in the record's header": 2, "in the record": 40} {
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				s.pending(device, capf.OperationInstall, capf.P256)
				h := s.halting(t, version)
				key := h.key()
				h.write(key[:wire.HeaderSize+1])
				h.line.cutAt = cutAt
				h.write(key[wire.HeaderSize+1:])
				h.expect(wire.CommandKeyGenerationRequest)
				if _, err := h.line.Conn.Write(h.line.rest); err != nil {
					t.Fatal(err)
				}
				h.checkInstalled(s)
			})
		}
	}
}

func (h *halting) checkInstalled(s *service) {
	h.t.Helper()
	message := wire.Message{Command: wire.CommandKeyGenerationRequest}
	for message.Command == wire.CommandKeyGenerationRequest {
		var err error
		if message, err = wire.ReadMessage(h.conn, wire.MaxElements); err != nil {
			h.t.Fatal(err)
		}
	}
	if message.Command != wire.CommandStoreCertificateRequest {
		h.t.Fatalf("%v came", message)
	}
	h.write(mustEncode(h.t, wire.StoreCertificateResponse{Reason: wire.Some(wire.ReasonSuccess)}.Message(h.id)))
	h.expect(wire.CommandEndSession)
	if status := s.status(device); status != capf.StatusSuccess {
		h.t.Errorf("status %s", status)
	}
}

// A phone that drips does not win time: it is asked as often as C5 says, and has C4 for each.
func TestDrippingDoesNotExtend(t *testing.T) {
	t.Parallel() // it waits for the most part
	const attempts = 3
	s := slowKeys(t, time.Second, strconv.Itoa(attempts)) // in which a slow machine has answered
	h := s.halting(t, tls.VersionTLS12)
	key := h.key()
	for attempt := range attempts {
		if attempt > 0 {
			h.expect(wire.CommandKeyGenerationRequest)
		}
		if attempt < attempts-1 { // what comes after the end of the session would break the line
			h.write(key[attempt : attempt+1])
		}
	}
	h.expect(wire.CommandEndSession)
	if found := s.phone(device); s.status(device) != capf.StatusFailed || *found.LastResult != capf.ResultTimedOut {
		t.Errorf("status %s, result %v", s.status(device), found.LastResult)
	}
}

// A deadline that passes while the phone makes its key: nothing is issued, and the operation has expired. It does not
// stay in progress for as long as the service runs.
func TestOperationExpiresDuringTheSession(t *testing.T) {
	s := newService(t, usual())
	clock := &settable{now: time.Now()}
	late, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(s.folder, "capf.db"), Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = late.Close() })
	s.change(func(server *session.Server) { server.Operations = late })
	s.pending(device, capf.OperationInstall, capf.P256)
	h := s.halting(t, tls.VersionTLS12)
	if status := s.status(device); status != capf.StatusInProgress {
		t.Fatalf("status %s", status)
	}
	clock.set(s.phone(device).Last.CompletesBy.Add(time.Second))
	h.write(h.key())
	h.expect(wire.CommandEndSession)
	after := s.phone(device)
	if status := after.Last.Status(clock.Now(), instance); status != capf.StatusExpired || len(s.certificates(device)) != 0 {
		t.Errorf("status %s, %d certificates", status, len(s.certificates(device)))
	}
	if after.Last.Serving != "" || after.LastResult == nil || *after.LastResult != capf.ResultTimedOut {
		t.Errorf("served by %q, result %v", after.Last.Serving, after.LastResult)
	}
	_, attempts := s.onRecord(t, device)
	if len(attempts) != 1 || attempts[0].Detail != "the deadline passed during the session" {
		t.Errorf("attempts %+v", attempts)
	}
}
