package session_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// A4: the line breaks before or after any message, in any way; the phone's next try succeeds with the same
// string, and every certificate that left is in the store.
func TestLineBreaksAnywhere(t *testing.T) {
	s := newService(t, usual())
	number := 0
	for _, drop := range []phone.Drop{phone.DropNotify, phone.DropFIN, phone.DropRST} {
		for message := 1; message <= 7; message++ {
			for _, after := range []bool{false, true} {
				number++
				name := fmt.Sprintf("SEP0011223344%02X", number)
				t.Run(fmt.Sprintf("%v at message %d after %v", drop, message, after), func(t *testing.T) {
					digits := s.pendingByString(name, "12345678")
					config := s.config(name)
					config.Mode, config.AuthenticationString = capf.AuthByString, digits
					config.Flash = phone.NewMemoryFlash()
					config.OnMessage = phone.StopAt(message, after, drop)
					config.Retry = phone.Retry{Times: 3}
					outcome := s.call(config)
					if outcome.Err != nil {
						t.Fatalf("after %d attempts: %v", outcome.Attempts, outcome.Err)
					}
					checkAgreement(t, s, name, config.Flash)
				})
			}
		}
	}
}

// checkAgreement: what the phone holds is the one LSC that the store has as confirmed.
func checkAgreement(t *testing.T, s *service, name string, flash phone.Flash) {
	t.Helper()
	// The phone is done when it has the certificate; the service may still be writing what it confirmed.
	deadline := time.Now().Add(patience)
	for s.status(name) == capf.StatusInProgress && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	held, err := flash.LSC()
	if err != nil || held == nil {
		t.Fatalf("the phone holds %v, %v", held, err)
	}
	found := s.phone(name)
	if s.status(name) != capf.StatusSuccess || found.LSC == nil || found.LSC.Serial != capf.FormatSerial(held.Certificate.SerialNumber) {
		t.Errorf("status %s; the store has %+v, the phone %x", s.status(name), found.LSC, held.Certificate.SerialNumber)
	}
	states := make(map[capf.CertificateState]int)
	for _, one := range s.certificates(name) {
		if one.Kind == capf.LSC { // it may have shown its MIC too
			states[one.State]++
		}
	}
	if states[capf.CertificateConfirmed] != 1 || states[capf.CertificateIssued] != 0 {
		t.Errorf("LSCs: %v", states)
	}
}

// The service stops in the middle of a session: the operation stays pending, with its string.
func TestStopInTheMiddle(t *testing.T) {
	s := newService(t, usual())
	digits := s.pendingByString(device, "12345678")
	config := s.config(device)
	config.Mode, config.AuthenticationString = capf.AuthByString, digits
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandKeyGenerationRequest && at.After {
			s.stop()
		}
		return nil
	}
	if outcome := s.call(config); outcome.Err == nil {
		t.Error("the session went on")
	}
	if found := s.phone(device); s.status(device) != capf.StatusPending || found.AuthString.IsZero() {
		t.Errorf("status %s, string there %v", s.status(device), !found.AuthString.IsZero())
	}
	s.start()
	config.Server, config.OnMessage = s.address, nil
	if outcome := s.call(config); outcome.Err != nil {
		t.Errorf("after the restart: %v", outcome.Err)
	}
}

// raw is a connection that says whatever a test wants.
func (s *service) raw(t *testing.T) (*tls.Conn, wire.Message) {
	t.Helper()
	conn, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true}) // the test is about what comes after
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	first, err := wire.ReadMessage(conn, wire.MaxElements)
	if err != nil || first.Command != wire.CommandAuthenticationRequest || len(first.Elements) != 1 {
		t.Fatalf("the service says %v, %v", first, err)
	}
	return conn, first
}

func answer(name string) wire.AuthenticationResponse {
	return wire.AuthenticationResponse{Reason: wire.Some(wire.ReasonSuccess), Version: wire.Some(uint8(wire.Version3)), DeviceName: name}
}

// Bad input ends the session and leaves the phone as it was.
func TestBadInput(t *testing.T) {
	s := newService(t, usual())
	var log bytes.Buffer
	s.change(func(server *session.Server) { server.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	good, err := wire.Encode(answer(device).Message(1))
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]func(id uint32) []byte{
		"another session ID": func(uint32) []byte { return good },
		"out of order": func(id uint32) []byte {
			return mustEncode(t, wire.StoreCertificateResponse{Reason: wire.Some(wire.ReasonSuccess)}.Message(id))
		},
		"wrong magic":          func(uint32) []byte { return []byte("GET / HTTP/1.0\r\n\r\n") },
		"length without bytes": func(uint32) []byte { return []byte{0x55, 2, 0, 0, 0, 0, 0xff, 0xff} },
		"name with a slash":    func(id uint32) []byte { return mustEncode(t, answer("../../x").Message(id)) },
		"name twice": func(id uint32) []byte {
			message := answer(device).Message(id)
			message.Elements = append(message.Elements, message.Elements[len(message.Elements)-1])
			return mustEncode(t, message)
		},
	}
	for name, input := range inputs {
		conn, first := s.raw(t)
		if _, err := conn.Write(input(first.SessionID)); err != nil {
			t.Fatal(err)
		}
		end, err := wire.ReadMessage(conn, wire.MaxElements)
		if err == nil {
			view, _, err := wire.Read[wire.EndSession](end)
			if err != nil || view.Reason.Value != wire.ReasonRefused {
				t.Errorf("%s: the service answers %v, %v", name, end, err)
			}
		} else if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found := s.phone(device); s.status(device) != capf.StatusPending || !found.LastSession.IsZero() {
		t.Errorf("the phone was changed: %s", s.status(device))
	}
	if outcome := s.call(s.config(device)); outcome.Err != nil {
		t.Errorf("afterwards: %v", outcome.Err)
	}
	s.stop()
	if text := log.String(); strings.Contains(text, "code=internal") || !strings.Contains(text, "code=peer") {
		t.Errorf("a breach of the protocol is logged as %s", text)
	}
}

func mustEncode(t *testing.T, message wire.Message) []byte {
	t.Helper()
	encoded, err := wire.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// A message that ends early, at any byte, stops nobody.
func TestFINAtEveryByte(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	whole := mustEncode(t, answer(device).Message(0))
	for length := range whole {
		conn, _ := s.raw(t)
		if _, err := conn.Write(whole[:length]); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("after %d bytes: %v", length, err)
		}
	}
	if outcome := s.call(s.config(device)); outcome.Err != nil {
		t.Error(outcome.Err)
	}
}

// Silent connections hold nobody up, and are closed at the handshake deadline.
func TestSilentConnections(t *testing.T) {
	t.Parallel() // it waits for the most part
	settings := usual()
	settings.HandshakeTimeout = 5 * time.Second // in which a slow machine has done the phone's handshake
	s := newService(t, settings)
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	var silent []net.Conn
	for range 100 {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	if outcome := s.call(s.config(device)); outcome.Err != nil {
		t.Error(outcome.Err)
	}
	for _, conn := range silent {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("still open: %v", err)
		}
	}
}

// The place that a limit denies is waited for until the handshake deadline; then the line is closed.
func TestTooManyPhones(t *testing.T) {
	t.Parallel() // it waits for the most part
	settings := usual()
	settings.MaxSessions, settings.HandshakeTimeout = 1, 5*time.Second // in which a slow machine has done a handshake
	s := newService(t, settings)
	conn, _ := s.raw(t)
	second, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := second.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("beyond the limit: %d bytes, %v", n, err)
	}
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if outcome := s.call(s.config(device)); outcome.Err != nil {
		t.Errorf("with the place free again: %v", outcome.Err)
	}
}
