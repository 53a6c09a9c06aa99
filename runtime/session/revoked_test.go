package session_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// before has something happen once, right before the phone sends that message.
func before(command wire.Command, what func()) phone.Hook {
	done := false
	return func(_ context.Context, at phone.Point) error {
		if at.Sent && !at.After && at.Command == command && !done {
			done = true
			what()
		}
		return nil
	}
}

// revoke is `capf ca revoke`.
func (s *service) revoke(t *testing.T, serial string) {
	t.Helper()
	if _, err := s.store.RevokeLSCs(t.Context(), "", serial, capf.RevokeKeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
}

// What a session was let in by is revoked, or nothing vouches for it any more, while the session goes on: nothing is
// issued and nothing recorded of what came after. The operation stays pending, as after every failed authentication.
func TestRevokedDuringTheSession(t *testing.T) {
	s, made := newService(t, usual()), allIssuers(t)
	number := 0
	for _, at := range []struct {
		operation capf.Operation
		answer    wire.Command
		left      int // certificates without confirmation
	}{
		{capf.OperationInstall, wire.CommandKeyGenerationResponse, 0},
		{capf.OperationInstall, wire.CommandStoreCertificateResponse, 1},
		{capf.OperationDelete, wire.CommandDeleteCertificateResponse, 0},
		{capf.OperationTroubleshoot, wire.CommandFetchCertificateResponse, 0},
	} {
		for _, by := range []struct {
			name   string
			kind   capf.CertificateKind
			issuer issuer
			revoke bool // else its anchor is removed
			result capf.Result
			text   string
		}{
			{"LSC of this CAPF revoked", capf.LSC, s.own(), true, capf.ResultInvalidLSC, "revoked"},
			{"LSC of an earlier CAPF revoked", capf.LSC, made.curve, true, capf.ResultInvalidLSC, "revoked"},
			{"LSC's anchor removed", capf.LSC, made.curve, false, capf.ResultInvalidLSC, "anchor"},
			{"MIC's anchor removed", capf.MIC, made.maker, false, capf.ResultInvalidMIC, "anchor"},
		} {
			number++
			name := fmt.Sprintf("SEP0011223388%02X", number)
			t.Run(fmt.Sprintf("%s before the %v", by.name, at.answer), func(t *testing.T) {
				s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.LSC: {made.curve.certificate}, capf.MIC: {made.maker.certificate}})
				shown := identityOf(t, leaf{issuer: by.issuer}, name, by.kind)
				config := s.showing(name, capf.AuthByLSC, shown, nil)
				if by.kind == capf.MIC {
					config = s.showing(name, capf.AuthByLSC, nil, shown)
				}
				s.pendingByCertificate(name, capf.AuthByLSC, at.operation)
				config.OnMessage = before(at.answer, func() {
					if by.revoke {
						s.revoke(t, capf.FormatSerial(shown.Certificate.SerialNumber))
					} else {
						s.trust.removeAll()
					}
				})
				outcome := s.call(config)
				if outcome.Reason != wire.Some(wire.ReasonRefused) {
					t.Errorf("the phone is told %v, %v", outcome.Reason, outcome.Err)
				}
				found, states := s.phone(name), s.states(name)
				if s.status(name) != capf.StatusPending || found.LastResult == nil || *found.LastResult != by.result {
					t.Errorf("status %s, result %v", s.status(name), found.LastResult)
				}
				if states[capf.CertificateIssued] != at.left || by.revoke != (states[capf.CertificateRevoked] == 1) || by.revoke && found.LSC != nil {
					t.Errorf("certificates %v, LSC %v", states, found.LSC)
				}
				_, attempts := s.onRecord(t, name)
				if len(attempts) != 1 || attempts[0].Result != by.result || !strings.Contains(attempts[0].Detail, by.text) || attempts[0].Address != "127.0.0.1" {
					t.Errorf("attempts %+v", attempts)
				}
			})
		}
	}
}

// A phone that comes again with the key for which a certificate left before does not get that one either.
func TestRevokedBeforeTheSameCertificateLeavesAgain(t *testing.T) {
	s := newService(t, usual())
	shown := identityOf(t, leaf{issuer: s.own()}, device, capf.LSC)
	key, err := phone.GenerateKey(t.Context(), device, capf.P256)
	if err != nil {
		t.Fatal(err)
	}
	s.pendingByCertificate(device, capf.AuthByLSC, capf.OperationInstall)
	call := func(hook phone.Hook) phone.Outcome {
		config := s.showing(device, capf.AuthByLSC, shown, nil)
		config.Keys = func(context.Context, string, capf.KeySize) (crypto.Signer, error) { return key, nil }
		config.OnMessage = hook
		return s.call(config)
	}
	call(phone.StopAt(7, false, phone.DropRST))
	eventually(t, "the operation is released", func() bool { return s.status(device) == capf.StatusPending })
	outcome := call(before(wire.CommandKeyGenerationResponse, func() { s.revoke(t, capf.FormatSerial(shown.Certificate.SerialNumber)) }))
	if outcome.Certificate != nil || outcome.Reason != wire.Some(wire.ReasonRefused) || s.status(device) != capf.StatusPending {
		t.Errorf("the phone has %v, is told %v; status %s", outcome.Certificate, outcome.Reason, s.status(device))
	}
	if found := s.phone(device); found.LastResult == nil || *found.LastResult != capf.ResultInvalidLSC {
		t.Errorf("result %v", found.LastResult)
	}
}

// An LSC that is revoked between its delivery and the phone's answer: the phone holds a certificate that is worth
// nothing, which is no success.
func TestRevokedBeforeItIsConfirmed(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.P256)
	s.checkAccepted(t, s.config(device))
	s.pending(device, capf.OperationInstall, capf.P256)
	config, serial := s.config(device), ""
	config.OnMessage = before(wire.CommandStoreCertificateResponse, func() {
		for _, one := range s.certificates(device) {
			if one.State == capf.CertificateIssued {
				serial = one.Serial
			}
		}
		s.revoke(t, serial)
	})
	outcome := s.call(config)
	if outcome.Reason != wire.Some(wire.ReasonRefused) {
		t.Errorf("the phone is told %v, %v", outcome.Reason, outcome.Err)
	}
	found := s.phone(device)
	if s.status(device) != capf.StatusFailed || found.LastResult == nil || *found.LastResult != capf.ResultInvalidLSC || !strings.Contains(found.Last.Detail, serial) {
		t.Errorf("status %s, result %v, %q without %s", s.status(device), found.LastResult, found.Last.Detail, serial)
	}
	if found.LSC != nil || found.LSCStatus(time.Now()) != capf.LSCUnknown {
		t.Errorf("LSC %v, %s", found.LSC, found.LSCStatus(time.Now()))
	}
	all := s.certificates(device)
	if len(all) != 2 || all[0].RevokeReason != string(capf.RevokeSuperseded) || all[1].RevokeReason != string(capf.RevokeKeyCompromise) {
		t.Errorf("certificates %+v", all)
	}
}
