package session_test

import (
	"crypto/tls"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// A phone that owes the answer to an earlier key request has one deadline for what it is asked then: to say that it is
// still making keys wins no time.
func TestProgressDoesNotExtendTheWait(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := newService(t, usual())
	s.change(func(server *session.Server) {
		server.KeyGenerationTime = 2 * time.Second // in which a slow machine has answered
		server.Settings.MessageTimeout = 2 * time.Second
	})
	s.pending(device, capf.OperationInstall, capf.P256)
	h := s.halting(t, tls.VersionTLS12)
	h.expect(wire.CommandKeyGenerationRequest) // once more, since the first took too long
	h.write(h.key())
	h.expect(wire.CommandStoreCertificateRequest)
	progress := mustEncode(t, wire.RequestInProgress{}.Message(h.id))
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if _, err := h.conn.Write(progress); err != nil {
			break
		}
		if time.Since(begun) > patience/2 {
			t.Fatal("the session goes on for as long as the phone says that it is at it")
		}
	}
	eventually(t, "the operation is released", func() bool { return s.status(device) == capf.StatusPending })
	if found := s.phone(device); found.LastResult == nil || *found.LastResult != capf.ResultTimedOut || s.states(device)[capf.CertificateConfirmed] != 0 {
		t.Errorf("result %v, certificates %v", found.LastResult, s.states(device))
	}
}

// Whoever floods the service with messages that say that keys are being made breaks the protocol. A phone that says it a
// hundred times at once is still one.
func TestFloodOfProgress(t *testing.T) {
	s, counted := observed(t)
	progress := func(h *halting) error {
		_, err := h.conn.Write(mustEncode(t, wire.RequestInProgress{}.Message(h.id)))
		return err
	}
	s.pending(device, capf.OperationInstall, capf.P256)
	h := s.halting(t, tls.VersionTLS13)
	for range 100 {
		if err := progress(h); err != nil {
			t.Fatal(err)
		}
	}
	h.write(h.key())
	h.checkInstalled(s)

	s.pending(device, capf.OperationInstall, capf.P256)
	before := counted.ended()
	h = s.halting(t, tls.VersionTLS13)
	for range 50_000 {
		if progress(h) != nil {
			break
		}
	}
	eventually(t, "the session ends", func() bool {
		return counted.ended() > before+1 || counted.ended() > before && s.status(device) == capf.StatusPending
	})
	if end := counted.last(); end.Outcome != capf.OutcomeProtocol || end.Result == nil || *end.Result != capf.ResultCommunication {
		t.Errorf("the session ended as %+v", end)
	}
}
