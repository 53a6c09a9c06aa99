package session_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/wire"
)

// exampleCase is how a phone of the two examples authenticates.
type exampleCase struct {
	name     string
	mode     capf.AuthMode
	lsc, mic bool
}

var exampleCases = []exampleCase{
	{"null string", capf.AuthByNullString, false, false},
	{"existing certificate, its LSC", capf.AuthByLSC, true, false},
	{"existing certificate, its MIC", capf.AuthByMIC, false, true},
	{"existing certificate, its MIC for want of an LSC", capf.AuthByLSC, false, true},
}

// prepare makes the handset of a case, with an installation pending in that security mode. An LSC that it
// has is one of an earlier CAPF, by which it cannot register.
func (c exampleCase) prepare(t *testing.T, r *registrar, number int, security capf.SecurityMode) *handset {
	t.Helper()
	made := allIssuers(t)
	r.service.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.LSC: {made.earlier.certificate}, capf.MIC: {made.maker.certificate}})
	h := r.newHandset(fmt.Sprintf("SEP0011223388%02X", number))
	if c.mic {
		h.config.MIC = identityOf(t, leaf{issuer: made.maker}, h.config.Device, capf.MIC)
	}
	if c.lsc {
		if err := h.config.Flash.StoreLSC(*identityOf(t, leaf{issuer: made.earlier}, h.config.Device, capf.LSC)); err != nil {
			t.Fatal(err)
		}
	}
	r.service.pendingByCertificate(h.config.Device, c.mode, capf.OperationInstall)
	r.service.set(capf.PhoneChange{Device: h.config.Device, SecurityMode: &security})
	return h
}

// First example: in non-secure mode the phone registers at once after the reset, gets its configuration,
// opens the CAPF session by itself and installs the LSC; then its mode is raised.
func TestExampleNonSecure(t *testing.T) {
	s := newService(t, usual())
	r := s.newRegistrar(t)
	for number, test := range exampleCases {
		t.Run(test.name, func(t *testing.T) {
			h := test.prepare(t, r, number, capf.NonSecure)
			if outcome := h.start(t, true); outcome.Err != nil {
				t.Error(outcome.Err)
			}
			r.check(t, "registered non-secure", "session")
			checkAgreement(t, s, h.config.Device, h.config.Flash)
			raised := capf.Encrypted
			s.set(capf.PhoneChange{Device: h.config.Device, SecurityMode: &raised})
			h.start(t, true)
			r.check(t, "nothing pending", "registered encrypted")
		})
	}
}

// Second example: in authenticated or encrypted mode it does not register until the CAPF session has ended
// with an LSC; then it registers in its mode.
func TestExampleSecure(t *testing.T) {
	s := newService(t, usual())
	r := s.newRegistrar(t)
	for number, test := range exampleCases {
		for offset, security := range []capf.SecurityMode{capf.Authenticated, capf.Encrypted} {
			t.Run(fmt.Sprintf("%s, %s", test.name, security), func(t *testing.T) {
				h := test.prepare(t, r, 16*(1+offset)+number, security)
				h.security = security
				h.register(t) // before the session there is no way
				r.check(t, "not registered")
				if outcome := h.start(t, true); outcome.Err != nil {
					t.Error(outcome.Err)
				}
				r.check(t, "session", "registered "+string(security))
				checkAgreement(t, s, h.config.Device, h.config.Flash)
			})
		}
	}
}

// Both fail by existing certificate where there is none.
func TestExamplesWithoutACertificate(t *testing.T) {
	s := newService(t, usual())
	r := s.newRegistrar(t)
	for number, security := range []capf.SecurityMode{capf.NonSecure, capf.Authenticated, capf.Encrypted} {
		for offset, mode := range []capf.AuthMode{capf.AuthByLSC, capf.AuthByMIC} {
			h := exampleCase{mode: mode}.prepare(t, r, 64+2*number+offset, security)
			outcome := h.start(t, true)
			if outcome.Reason != wire.Some(wire.ReasonRefused) || s.status(h.config.Device) != capf.StatusPending || len(s.certificates(h.config.Device)) != 0 {
				t.Errorf("%s, %s: told %v, status %s", security, mode, outcome.Reason, s.status(h.config.Device))
			}
			if security == capf.NonSecure {
				r.check(t, "registered non-secure", "session failed")
			} else {
				r.check(t, "session failed", "not registered")
			}
		}
	}
}

// A4: the power is lost before or after any message. The phone that comes back cannot load its new
// configuration file, goes by the authentication mode in its flash, and ends with one LSC that works; then
// the mode in flash is cleared.
func TestExamplesWithPowerLost(t *testing.T) {
	s := newService(t, usual())
	r := s.newRegistrar(t)
	number := 0
	for _, test := range exampleCases {
		for _, security := range []capf.SecurityMode{capf.NonSecure, capf.Encrypted} {
			for message := 1; message <= 7; message++ {
				number++
				t.Run(fmt.Sprintf("%s, %s, at message %d", test.name, security, message), func(t *testing.T) {
					h := test.prepare(t, r, 0x80+number, security)
					h.config.OnMessage = func(_ context.Context, at phone.Point) error {
						if at.Number == message {
							return phone.DropRST
						}
						return nil
					}
					if outcome := h.start(t, true); outcome.Err == nil {
						t.Fatal("the power was not lost")
					}
					if kept, err := h.config.Flash.Mode(); err != nil || kept != test.mode {
						t.Fatalf("in flash is %q, %v", kept, err)
					}
					r.happened()
					h.config.OnMessage = nil
					if outcome := h.start(t, false); outcome.Err != nil {
						t.Fatalf("after the power came back: %v", outcome.Err)
					}
					if kept, err := h.config.Flash.Mode(); err != nil || kept != "" {
						t.Errorf("when the operation was complete %q stayed in flash, %v", kept, err)
					}
					checkAgreement(t, s, h.config.Device, h.config.Flash)
					if security == capf.NonSecure {
						r.check(t, "registered non-secure", "session")
					} else {
						r.check(t, "session", "registered encrypted")
					}
				})
			}
		}
	}
}
