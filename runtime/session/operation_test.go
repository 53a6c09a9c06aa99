package session_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

const device = "SEP0011223344AA"

// Install at every version of TLS and of the protocol, every message in one TLS record (A2, capf-protocol.md).
func TestInstall(t *testing.T) {
	s := newService(t, usual())
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		for _, protocol := range []uint8{wire.Version2, wire.Version3} {
			for _, size := range []capf.KeySize{capf.RSA512, capf.RSA1024, capf.RSA2048} {
				t.Run(fmt.Sprintf("%s protocol %d %s bits", tls.VersionName(version), protocol, size), func(t *testing.T) {
					s.pending(device, capf.OperationInstall, size)
					config := s.config(device)
					config.TLS, config.Version = phone.TLSOnly(version), protocol
					outcome := s.call(config)
					if outcome.Err != nil {
						t.Fatal(outcome.Err)
					}
					if fmt.Sprint(outcome.Records) != "[1 1 1 1]" {
						t.Errorf("the messages came in %v records; was this built by make, with the overlay?", outcome.Records)
					}
					checkInstalled(t, s, outcome.Certificate)
				})
			}
		}
	}
	if states := s.states(device); states[capf.CertificateConfirmed] != 1 || states[capf.CertificateRevoked] != 23 || states[capf.CertificateIssued] != 0 {
		t.Errorf("after 24 upgrades: %v", states)
	}
}

// checkInstalled holds what the phone has against what the store says.
func checkInstalled(t *testing.T, s *service, certificate *x509.Certificate) {
	t.Helper()
	if err := certificate.CheckSignatureFrom(s.authority.Certificate); err != nil {
		t.Error(err)
	}
	stored := s.phone(device)
	if stored.LSC == nil || stored.LSC.Serial != capf.FormatSerial(certificate.SerialNumber) || stored.LSC.State != capf.CertificateConfirmed {
		t.Errorf("the store has %+v", stored.LSC)
	}
	if s.status(device) != capf.StatusSuccess || stored.LastResult == nil || *stored.LastResult != capf.ResultSuccess || stored.LastSession.IsZero() {
		t.Errorf("status %s, result %v, last session %s", s.status(device), stored.LastResult, stored.LastSession)
	}
}

func TestInstallECKey(t *testing.T) {
	s := newService(t, usual())
	for _, size := range []capf.KeySize{capf.P256, capf.P384, capf.P521} {
		s.pending(device, capf.OperationInstall, size)
		outcome := s.call(s.config(device))
		if outcome.Err != nil {
			t.Fatalf("%s: %v", size, outcome.Err)
		}
		checkInstalled(t, s, outcome.Certificate)
	}
	s.pending(device, capf.OperationInstall, capf.P256)
	config := s.config(device)
	config.Version = wire.Version2
	if outcome := s.call(config); outcome.Err == nil || s.status(device) != capf.StatusFailed {
		t.Errorf("a client of version 2 was asked for an EC key: %v, %s", outcome.Err, s.status(device))
	}
}

// B3: an authentication string is good for one use.
func TestAuthenticationString(t *testing.T) {
	s := newService(t, usual())
	digits := s.pendingByString(device, "004711")
	config := s.config(device)
	config.Mode, config.AuthenticationString = capf.AuthByString, digits
	if outcome := s.call(config); outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	if found := s.phone(device); !found.AuthString.IsZero() {
		t.Error("the string outlived its operation")
	}
	again := s.call(config)
	if again.Err == nil || again.Reason.Value != wire.ReasonNoAction {
		t.Errorf("the same string again: reason %v, %v", again.Reason, again.Err)
	}
	if len(s.certificates(device)) != 1 {
		t.Error("a second certificate was issued")
	}
}

// A failed authentication leaves the operation, its status and its string alone.
func TestWrongStringLeavesTheOperation(t *testing.T) {
	s := newService(t, usual())
	digits := s.pendingByString(device, "12345678")
	wrong, err := capf.ParseAuthenticationString("12345679")
	if err != nil {
		t.Fatal(err)
	}
	config := s.config(device)
	config.Mode, config.AuthenticationString = capf.AuthByString, wrong
	if outcome := s.call(config); outcome.Err == nil || outcome.Reason.Value != wire.ReasonRefused {
		t.Errorf("wrong string: reason %v, %v", outcome.Reason, outcome.Err)
	}
	if outcome := s.call(s.config(device)); outcome.Err == nil || outcome.Reason.Value != wire.ReasonRefused {
		t.Errorf("no string: reason %v, %v", outcome.Reason, outcome.Err)
	}
	found := s.phone(device)
	if s.status(device) != capf.StatusPending || found.LastResult == nil || *found.LastResult != capf.ResultInvalidAuthString || !found.LastSession.IsZero() {
		t.Errorf("status %s, result %v, last session %s", s.status(device), found.LastResult, found.LastSession)
	}
	config.AuthenticationString = digits
	if outcome := s.call(config); outcome.Err != nil {
		t.Errorf("the right string afterwards: %v", outcome.Err)
	}
}

func TestNothingPendingAndUnknown(t *testing.T) {
	s := newService(t, usual())
	s.set(capf.PhoneChange{Device: device})
	for name, test := range map[string]struct {
		device   string
		protocol uint8
		reason   wire.Reason
	}{
		"nothing pending":            {device, wire.Version3, wire.ReasonNoAction},
		"nothing pending, version 2": {device, wire.Version2, wire.ReasonRefused},
		"unknown":                    {"SEPFFFFFFFFFFFF", wire.Version3, wire.ReasonUnknownDevice},
	} {
		config := s.config(test.device)
		config.Version = test.protocol
		if outcome := s.call(config); outcome.Reason.Value != test.reason || !outcome.Reason.Present {
			t.Errorf("%s: reason %v, %v; want %v", name, outcome.Reason, outcome.Err, test.reason)
		}
	}
}

// B1: Delete and Troubleshoot.
func TestDeleteAndTroubleshoot(t *testing.T) {
	s := newService(t, usual())
	flash := phone.NewMemoryFlash()
	config := s.config(device)
	config.Flash = flash
	for _, step := range []struct {
		operation capf.Operation
		result    capf.Result
		lsc       capf.LSCStatus
		text      string
	}{
		{capf.OperationInstall, capf.ResultSuccess, capf.LSCInstalled, "Upgrade Success"},
		{capf.OperationTroubleshoot, capf.ResultSuccess, capf.LSCInstalled, "Troubleshoot Success"},
		{capf.OperationDelete, capf.ResultSuccess, capf.LSCNone, "Delete Success"},
	} {
		s.pending(device, step.operation, capf.RSA1024)
		if outcome := s.call(config); outcome.Err != nil && step.result == capf.ResultSuccess {
			t.Fatalf("%s: %v", step.operation, outcome.Err)
		}
		found := s.phone(device)
		if found.LastResult == nil || *found.LastResult != step.result || found.LSCStatus(found.LastSession) != step.lsc ||
			found.Last.StatusText(found.LastSession, "") != step.text {
			t.Errorf("%s: result %v, LSC %s, %q", step.operation, found.LastResult, found.LSCStatus(found.LastSession), found.Last.StatusText(found.LastSession, ""))
		}
	}
	if states := s.states(device); states[capf.CertificateRevoked] != 1 || states[capf.CertificateConfirmed] != 0 {
		t.Errorf("certificates: %v", states)
	}
}

// B1: Troubleshoot fetches both kinds; of a phone that has neither it is not offered again.
func TestTroubleshootFetchesBothKinds(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationTroubleshoot, capf.RSA1024)
	outcome := s.call(s.config(device))
	found := s.phone(device)
	if *found.LastResult != capf.ResultFetchedNone || found.LSCKnown != capf.LSCNone || found.MIC != capf.MICNone || outcome.Reason.Value != wire.ReasonNoAction {
		t.Errorf("neither: result %v, LSC %s, MIC %s, %v", found.LastResult, found.LSCKnown, found.MIC, outcome.Err)
	}
	for _, kind := range []string{"-lsc", "-mic"} {
		if trace, written := s.traces.traces[device+kind]; !written || trace != nil {
			t.Errorf("the trace%s of a phone that has none: %v, %v", kind, trace, written)
		}
	}
	again := capf.OperationTroubleshoot
	_, err := s.store.ApplyChanges(context.Background(), capf.ApplySet, []capf.PhoneChange{{Device: device, Operation: &again}}, capf.ChangeContext{Actor: "test"})
	if err == nil || !strings.Contains(err.Error(), "neither LSC nor MIC") {
		t.Errorf("offered again: %v", err)
	}

	const other = "SEP0011223344AB"
	maker := allIssuers(t).maker
	s.pending(other, capf.OperationTroubleshoot, capf.RSA1024)
	config := s.config(other)
	config.MIC = leaf{issuer: maker, name: "CP-7965G-" + other, size: capf.RSA2048}.make(t)
	if outcome := s.call(config); outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	if found := s.phone(other); found.MIC != capf.MICPresent || *found.LastResult != capf.ResultSuccess || s.traces.traces[other+"-mic"] == nil {
		t.Errorf("a MIC without anchors: %s, result %v", found.MIC, found.LastResult)
	}
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.MIC: {maker.certificate}})
	s.pending(other, capf.OperationTroubleshoot, capf.RSA1024)
	if outcome := s.call(config); outcome.Err != nil || len(s.certificates(other)) != 1 {
		t.Errorf("a MIC of a trusted issuer is not on record: %v", outcome.Err)
	}
}

// A withdrawn or replaced operation is not carried out: nothing is issued, nothing written.
func TestOperationChangedDuringTheSession(t *testing.T) {
	install := capf.OperationInstall
	none := capf.OperationNone
	large := capf.RSA2048
	for name, change := range map[string]capf.PhoneChange{
		"withdrawn": {Operation: &none},
		"replaced":  {Operation: &install},
		"amended":   {KeySize: &large},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, usual())
			s.pending(device, install, capf.RSA1024)
			change.Device = device
			config := s.config(device)
			config.OnMessage = func(_ context.Context, at phone.Point) error {
				if at.Command == wire.CommandKeyGenerationRequest && at.After {
					s.set(change)
				}
				return nil
			}
			outcome := s.call(config)
			if outcome.Err == nil || outcome.Certificate != nil || len(s.certificates(device)) != 0 {
				t.Errorf("it was carried out: %v", outcome.Err)
			}
			want := capf.StatusPending
			if name == "withdrawn" {
				want = capf.StatusNone
			}
			if got := s.status(device); got != want {
				t.Errorf("status %s, want %s", got, want)
			}
		})
	}
}

// The line broke before the phone had its certificate, and it comes again with the same key: what was made for the
// operation is not handed over once that is no longer the one pending.
func TestOperationChangedBeforeTheSameKeyComesAgain(t *testing.T) {
	none, install, size := capf.OperationNone, capf.OperationInstall, capf.RSA2048
	for name, change := range map[string]func(*service) error{
		"withdrawn": func(s *service) error { s.set(capf.PhoneChange{Device: device, Operation: &none}); return nil },
		"replaced":  func(s *service) error { s.set(capf.PhoneChange{Device: device, Operation: &install}); return nil },
		"amended":   func(s *service) error { s.set(capf.PhoneChange{Device: device, KeySize: &size}); return nil },
		"removed":   func(s *service) error { return s.store.RemovePhones(t.Context(), []string{device}, "test") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, usual())
			s.pending(device, install, capf.P256)
			first := s.halting(t, tls.VersionTLS12)
			key := first.key()
			first.write(key)
			first.expect(wire.CommandStoreCertificateRequest)
			first.line.Close()
			again := s.halting(t, tls.VersionTLS12)
			if err := change(s); err != nil {
				t.Fatal(err)
			}
			binary.BigEndian.PutUint32(key[2:], again.id)
			again.write(key)
			again.expect(wire.CommandEndSession)
		})
	}
}

// Changed after the certificate was handed over: the outcome is not written, the certificate stays on record.
func TestOperationReplacedBeforeTheConfirmation(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	config := s.config(device)
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandStoreCertificateRequest && at.After {
			s.pending(device, capf.OperationInstall, capf.RSA1024)
		}
		return nil
	}
	s.call(config)
	if states := s.states(device); s.status(device) != capf.StatusPending || states[capf.CertificateIssued] != 1 {
		t.Errorf("status %s, certificates %v", s.status(device), states)
	}
}

// The status is in-progress while a living session serves the operation.
func TestInProgressShows(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	config := s.config(device)
	seen := capf.StatusNone
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandKeyGenerationRequest && at.After {
			seen = s.status(device)
		}
		return nil
	}
	if outcome := s.call(config); outcome.Err != nil || seen != capf.StatusInProgress {
		t.Errorf("%s, %v", seen, outcome.Err)
	}
}

// C5: a phone that reports failure is asked again, up to the parameter; then the operation has failed.
func TestKeyGenerationFails(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.RSA2048)
	config := s.config(device)
	config.KeySize = capf.RSA1024 // the only size it can make
	asked := 0
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandKeyGenerationRequest && at.After {
			asked++
		}
		return nil
	}
	outcome := s.call(config)
	found := s.phone(device)
	if outcome.Err == nil || asked != 3 || s.status(device) != capf.StatusFailed || *found.LastResult != capf.ResultFailed {
		t.Errorf("asked %d times, status %s, %v", asked, s.status(device), outcome.Err)
	}
}

// A newer session takes over once it has authenticated, and the older is closed.
func TestNewerSessionTakesOver(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.RSA1024)
	config := s.config(device)
	var newer phone.Outcome
	config.OnMessage = func(_ context.Context, at phone.Point) error {
		if at.Command == wire.CommandKeyGenerationRequest && at.After {
			newer = s.call(s.config(device))
		}
		return nil
	}
	older := s.call(config)
	if newer.Err != nil {
		t.Errorf("the newer session: %v", newer.Err)
	}
	if older.Err == nil || !errors.As(older.Err, new(*phone.LineError)) {
		t.Errorf("the older session: %v", older.Err)
	}
	if states := s.states(device); states[capf.CertificateConfirmed] != 1 || len(states) != 1 {
		t.Errorf("certificates: %v", states)
	}
}

// An LSC is signed with the hash that the phone's settings name.
func TestSignatureHashOfAPhone(t *testing.T) {
	s := newService(t, usual())
	for hash, want := range map[capf.SignatureHash]x509.SignatureAlgorithm{capf.HashSHA1: x509.SHA1WithRSA, capf.HashSHA256: x509.SHA256WithRSA} {
		s.set(capf.PhoneChange{Device: device, LSCHash: &hash})
		s.pending(device, capf.OperationInstall, capf.RSA1024)
		outcome := s.call(s.config(device))
		if outcome.Err != nil || outcome.Certificate.SignatureAlgorithm != want {
			t.Errorf("%s: %v, %v", hash, outcome.Certificate, outcome.Err)
		}
	}
}
