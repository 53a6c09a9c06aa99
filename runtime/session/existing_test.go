package session_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/phone"
	"capf/runtime/session"
	"capf/runtime/wire"
)

// own is the authority of the service as an issuer.
func (s *service) own() issuer {
	return issuer{s.authority.Certificate, s.server.Certificate.PrivateKey.(crypto.Signer)}
}

// certificateCase is a phone with certificates.
type certificateCase struct {
	name     string
	mode     capf.AuthMode
	lsc, mic *leaf    // nil: the phone has none; without a name: that of the phone
	lscs     []issuer // anchors
	mics     []issuer
	result   capf.Result
	text     string
}

// try has the phone call, under a name by that number.
func (c certificateCase) try(t *testing.T, s *service, number int) {
	name := fmt.Sprintf("SEP0011223355%02X", number)
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.LSC: anchors(c.lscs), capf.MIC: anchors(c.mics)})
	s.pendingByCertificate(name, c.mode, capf.OperationInstall)
	config := s.showing(name, c.mode, c.lsc.of(t, name), c.mic.of(t, "CP-7970G-"+name))
	if c.result == capf.ResultSuccess {
		s.checkAccepted(t, config)
		return
	}
	s.checkRefused(t, config, c.result, c.text)
}

// Certificates that authenticate their phone: its name, an anchor of their kind, in their time.
func TestCertificatesAccepted(t *testing.T) {
	s, made := newService(t, usual()), allIssuers(t)
	own := s.own()
	for number, test := range []certificateCase{
		{"LSC RSA 512", capf.AuthByLSC, &leaf{issuer: own, size: capf.RSA512}, nil, nil, nil, capf.ResultSuccess, ""},
		{"LSC RSA 1024", capf.AuthByLSC, &leaf{issuer: own, size: capf.RSA1024}, nil, nil, nil, capf.ResultSuccess, ""},
		{"LSC RSA 2048", capf.AuthByLSC, &leaf{issuer: own, size: capf.RSA2048}, nil, nil, nil, capf.ResultSuccess, ""},
		{"LSC EC 256", capf.AuthByLSC, &leaf{issuer: own, size: capf.P256}, nil, nil, nil, capf.ResultSuccess, ""},
		{"LSC EC 384", capf.AuthByLSC, &leaf{issuer: own, size: capf.P384}, nil, nil, nil, capf.ResultSuccess, ""},
		{"LSC of an earlier CAPF that has expired", capf.AuthByLSC, &leaf{issuer: made.earlier}, nil, []issuer{made.impostor, made.earlier}, nil, capf.ResultSuccess, ""},
		{"LSC of an earlier CAPF with an EC key", capf.AuthByLSC, &leaf{issuer: made.curve}, nil, []issuer{made.curve}, nil, capf.ResultSuccess, ""},
		{"LSC signed with SHA-1", capf.AuthByLSC, &leaf{issuer: made.earlier, algorithm: x509.SHA1WithRSA}, nil, []issuer{made.earlier}, nil, capf.ResultSuccess, ""},
		{"LSC where there is no MIC", capf.AuthByMIC, &leaf{issuer: own}, nil, nil, nil, capf.ResultSuccess, ""},
		{"LSC before MIC", capf.AuthByLSC, &leaf{issuer: own}, &leaf{issuer: made.maker}, nil, nil, capf.ResultSuccess, ""},
		{"MIC", capf.AuthByMIC, nil, &leaf{issuer: made.maker, size: capf.RSA1024}, nil, []issuer{made.maker}, capf.ResultSuccess, ""},
		{"MIC before LSC", capf.AuthByMIC, &leaf{issuer: made.impostor}, &leaf{issuer: made.maker}, nil, []issuer{made.maker}, capf.ResultSuccess, ""},
		{"MIC where there is no LSC", capf.AuthByLSC, nil, &leaf{issuer: made.maker}, nil, []issuer{made.maker}, capf.ResultSuccess, ""},
		{"MIC of a maker that has expired", capf.AuthByMIC, nil, &leaf{issuer: made.oldMaker}, nil, []issuer{made.maker, made.oldMaker}, capf.ResultSuccess, ""},
		{"MIC signed with SHA-1", capf.AuthByMIC, nil, &leaf{issuer: made.maker, algorithm: x509.SHA1WithRSA}, nil, []issuer{made.maker}, capf.ResultSuccess, ""},
	} {
		t.Run(test.name, func(t *testing.T) { test.try(t, s, number) })
	}
}

// Certificates that do not.
func TestCertificatesRefused(t *testing.T) {
	s, made := newService(t, usual()), allIssuers(t)
	own, lately := s.own(), -time.Minute
	plain := leaf{issuer: own, name: "CAPF-33333333"}.make(t)
	notCA := issuer{plain.Certificate, plain.Key}
	for number, test := range []certificateCase{
		{"LSC of a CAPF that is no anchor", capf.AuthByLSC, &leaf{issuer: made.earlier}, nil, []issuer{made.curve}, nil, capf.ResultInvalidLSC, "no trust anchor has the name of its issuer: CN=CAPF-11111111"},
		{"LSC of one with an anchor's name", capf.AuthByLSC, &leaf{issuer: made.impostor}, nil, []issuer{made.earlier}, nil, capf.ResultInvalidLSC, "not signed by the trust anchor CN=CAPF-11111111"},
		{"LSC of an anchor for MICs", capf.AuthByLSC, &leaf{issuer: made.maker}, nil, nil, []issuer{made.maker}, capf.ResultInvalidLSC, "no trust anchor"},
		{"LSC of an anchor that is no CA", capf.AuthByLSC, &leaf{issuer: notCA}, nil, []issuer{notCA}, nil, capf.ResultInvalidLSC, "is no CA"},
		{"LSC expired", capf.AuthByLSC, &leaf{issuer: own, from: -time.Hour, to: lately}, nil, nil, nil, capf.ResultInvalidLSC, "the phone's LSC: the certificate is valid from"},
		{"LSC to come", capf.AuthByLSC, &leaf{issuer: own, from: time.Hour, to: 2 * time.Hour}, nil, nil, nil, capf.ResultInvalidLSC, "valid from"},
		{"LSC signed with MD5", capf.AuthByLSC, &leaf{issuer: made.earlier, algorithm: x509.MD5WithRSA}, nil, []issuer{made.earlier}, nil, capf.ResultInvalidLSC, "insecure algorithm MD5"},
		{"LSC that is invalid, beside a good MIC", capf.AuthByLSC, &leaf{issuer: made.impostor}, &leaf{issuer: made.maker}, nil, []issuer{made.maker}, capf.ResultInvalidLSC, "no trust anchor"},
		{"LSC of another phone", capf.AuthByLSC, &leaf{issuer: own, name: "SEP0011223344AB"}, nil, nil, nil, capf.ResultInvalidCredentials, `a certificate of "SEP0011223344AB"`},
		{"MIC of a maker that is no anchor", capf.AuthByMIC, nil, &leaf{issuer: made.oldMaker}, nil, []issuer{made.maker}, capf.ResultInvalidMIC, "no trust anchor"},
		{"MIC of an anchor for LSCs", capf.AuthByMIC, nil, &leaf{issuer: made.maker}, []issuer{made.maker}, nil, capf.ResultInvalidMIC, "the phone's MIC: no trust anchor"},
		{"MIC of this CAPF", capf.AuthByMIC, nil, &leaf{issuer: own}, nil, nil, capf.ResultInvalidMIC, "no trust anchor"},
		{"MIC expired", capf.AuthByMIC, nil, &leaf{issuer: made.maker, from: -time.Hour, to: lately}, nil, []issuer{made.maker}, capf.ResultInvalidMIC, "valid from"},
		{"MIC signed with MD5", capf.AuthByMIC, nil, &leaf{issuer: made.maker, algorithm: x509.MD5WithRSA}, nil, []issuer{made.maker}, capf.ResultInvalidMIC, "MD5"},
		{"MIC of another phone", capf.AuthByMIC, nil, &leaf{issuer: made.maker, name: "CP-7970G-SEP0011223344AB"}, nil, []issuer{made.maker}, capf.ResultInvalidCredentials, "SEP0011223344AB"},
		{"neither, by LSC", capf.AuthByLSC, nil, nil, nil, []issuer{made.maker}, capf.ResultInvalidCredentials, "showed no certificate"},
		{"neither, by MIC", capf.AuthByMIC, nil, nil, nil, []issuer{made.maker}, capf.ResultInvalidCredentials, "showed no certificate"},
	} {
		t.Run(test.name, func(t *testing.T) { test.try(t, s, number) })
	}
}

// of makes a certificate for a phone, nil for nil.
func (l *leaf) of(t *testing.T, name string) *phone.Identity {
	t.Helper()
	if l == nil {
		return nil
	}
	wanted := *l
	if wanted.name == "" {
		wanted.name = name
	}
	return wanted.make(t)
}

func anchors(issuers []issuer) (certificates []*x509.Certificate) {
	for _, one := range issuers {
		certificates = append(certificates, one.certificate)
	}
	return certificates
}

// Every operation, at the oldest and the newest a phone may speak; a soft phone has no MIC.
func TestOperationsByCertificate(t *testing.T) {
	s := newService(t, usual())
	for number, version := range []uint16{tls.VersionTLS10, tls.VersionTLS13} {
		for protocol, name := range map[uint8]string{wire.Version2: fmt.Sprintf("CSFALICE%d", number), wire.Version3: fmt.Sprintf("SEP00112233446%d", number)} {
			s.pending(name, capf.OperationInstall, capf.RSA1024)
			config := s.showing(name, capf.AuthByNullString, nil, nil)
			config.TLS, config.Version = phone.TLSOnly(version), protocol
			if outcome := s.call(config); outcome.Err != nil {
				t.Fatal(outcome.Err)
			}
			config.Mode = capf.AuthByLSC
			for _, operation := range []capf.Operation{capf.OperationTroubleshoot, capf.OperationInstall, capf.OperationDelete} {
				mode, size := capf.AuthByLSC, capf.RSA1024
				s.set(capf.PhoneChange{Device: name, Operation: &operation, AuthMode: &mode, KeySize: &size})
				s.checkAccepted(t, config)
			}
			s.set(capf.PhoneChange{Device: name, Operation: new(capf.OperationInstall)})
			s.checkRefused(t, config, capf.ResultInvalidCredentials, "showed no certificate")
		}
	}
}

// A revoked LSC is refused, also with bytes around what is signed changed so that it is another certificate.
func TestRevokedLSC(t *testing.T) {
	s, made := newService(t, usual()), allIssuers(t)
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.LSC: {made.curve.certificate}})
	lsc := leaf{issuer: made.curve, name: device}.make(t)
	s.know(t, device, lsc, capf.LSC)
	s.pending(device, capf.OperationInstall, capf.P256)
	s.checkAccepted(t, s.config(device)) // the upgrade revokes it
	s.pendingByCertificate(device, capf.AuthByLSC, capf.OperationInstall)
	s.checkRefused(t, s.showing(device, capf.AuthByLSC, lsc, nil), capf.ResultInvalidLSC, "the phone's LSC is revoked")

	altered := *lsc
	altered.Certificate = negated(t, lsc.Certificate)
	if altered.Certificate.Equal(lsc.Certificate) {
		t.Fatal("it is the same certificate")
	}
	if _, err := capf.VerifyChain(altered.Certificate, []*x509.Certificate{made.curve.certificate}, time.Now()); err != nil {
		t.Fatal(err)
	}
	s.checkRefused(t, s.showing(device, capf.AuthByLSC, &altered, nil), capf.ResultInvalidLSC, "the phone's LSC is revoked")
}

// negated is a certificate of an EC issuer with the other signature that verifies as well: of (r, s) also
// (r, n-s) is one.
func negated(t *testing.T, certificate *x509.Certificate) *x509.Certificate {
	t.Helper()
	parts := decode(t, certificate.Raw)
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(parts.Signature.Bytes, &signature); err != nil {
		t.Fatal(err)
	}
	signature.S.Sub(allIssuers(t).curve.key.Public().(*ecdsa.PublicKey).Params().N, signature.S)
	der, err := asn1.Marshal(signature)
	if err != nil {
		t.Fatal(err)
	}
	parts.Signature = asn1.BitString{Bytes: der, BitLength: 8 * len(der)}
	other, err := x509.ParseCertificate(parts.encode(t))
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// know has the store learn of a certificate as by Troubleshoot.
func (s *service) know(t *testing.T, device string, shown *phone.Identity, kind capf.CertificateKind) {
	t.Helper()
	s.pending(device, capf.OperationTroubleshoot, capf.P256)
	seen, err := capf.ReadCertificate(shown.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	seen.Kind = kind
	err = s.store.EndOperation(t.Context(), device, s.phone(device).Last.Ref, capf.Outcome{Ending: capf.EndingSuccess, Seen: []capf.Certificate{seen}})
	if err != nil {
		t.Fatal(err)
	}
}

// stopAtOperation breaks the line once the phone has authenticated.
func stopAtOperation(_ context.Context, at phone.Point) error {
	if at.After && !at.Sent && at.Command == wire.CommandKeyGenerationRequest {
		return phone.DropRST
	}
	return nil
}

// B2: where a valid certificate of the preferred kind is known, the other is refused.
func TestPrecedenceIsEnforced(t *testing.T) {
	s, made := newService(t, usual()), allIssuers(t)
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.LSC: {made.curve.certificate}, capf.MIC: {made.maker.certificate}})
	valid := func(by issuer, kind capf.CertificateKind) func(*testing.T, string) {
		return func(t *testing.T, name string) { s.know(t, name, identityOf(t, leaf{issuer: by}, name, kind), kind) }
	}
	expired := func(by issuer, kind capf.CertificateKind) func(*testing.T, string) {
		return func(t *testing.T, name string) {
			s.know(t, name, identityOf(t, leaf{issuer: by, from: -time.Hour, to: -time.Minute}, name, kind), kind)
		}
	}
	tests := []struct {
		name  string
		mode  capf.AuthMode
		known func(t *testing.T, name string) // what the store learns before
		shown capf.CertificateKind
		text  string // empty: accepted
	}{
		{"LSC known, MIC shown", capf.AuthByLSC, valid(s.own(), capf.LSC), capf.MIC, "its MIC, but a valid LSC of it is known"},
		{"LSC of an earlier CAPF known, MIC shown", capf.AuthByLSC, valid(made.curve, capf.LSC), capf.MIC, "change the authentication mode"},
		{"MIC known, LSC shown", capf.AuthByMIC, valid(made.maker, capf.MIC), capf.LSC, "its LSC, but a valid MIC of it is known"},
		{"another LSC known, LSC shown", capf.AuthByLSC, valid(made.curve, capf.LSC), capf.LSC, ""},
		{"LSC known, MIC shown and preferred", capf.AuthByMIC, valid(s.own(), capf.LSC), capf.MIC, ""},
		{"LSC known that has expired", capf.AuthByLSC, expired(s.own(), capf.LSC), capf.MIC, ""},
		{"MIC known that has expired", capf.AuthByMIC, expired(made.maker, capf.MIC), capf.LSC, ""},
		{"LSC known of what is no anchor any more", capf.AuthByLSC, valid(made.earlier, capf.LSC), capf.MIC, ""},
		{"MIC known of what is no anchor any more", capf.AuthByMIC, valid(made.oldMaker, capf.MIC), capf.LSC, ""},
		{"LSC issued that nobody confirmed", capf.AuthByLSC, s.leaveUnconfirmed, capf.MIC, ""},
		{"LSC known, then found missing", capf.AuthByLSC, func(t *testing.T, name string) {
			valid(s.own(), capf.LSC)(t, name)
			s.pending(name, capf.OperationTroubleshoot, capf.P256)
			s.checkAccepted(t, s.config(name))
		}, capf.MIC, ""},
	}
	for number, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			name := fmt.Sprintf("SEP0011223366%02X", number)
			lsc, mic := identityOf(t, leaf{issuer: made.curve}, name, capf.LSC), identityOf(t, leaf{issuer: made.maker}, name, capf.MIC)
			test.known(t, name)
			s.pendingByCertificate(name, test.mode, capf.OperationInstall)
			config := s.showing(name, test.mode, nil, mic)
			other := capf.AuthByMIC
			if test.shown == capf.LSC {
				config, other = s.showing(name, test.mode, lsc, nil), capf.AuthByLSC
			}
			if test.text == "" {
				s.checkAccepted(t, config)
				return
			}
			s.checkRefused(t, config, capf.ResultInvalidCredentials, test.text)
			s.set(capf.PhoneChange{Device: name, AuthMode: &other}) // as the text says
			s.checkAccepted(t, config)
		})
	}
}

// phonesWithoutMIC has phones of which it is known that they have no MIC any more.
type phonesWithoutMIC struct{ session.Phones }

func (p phonesWithoutMIC) Phone(ctx context.Context, device string) (capf.Phone, error) {
	found, err := p.Phones.Phone(ctx, device)
	found.MIC = capf.MICNone
	return found, err
}

// A MIC that is known, and then known to be gone, has no precedence.
func TestMICThatIsGone(t *testing.T) {
	s, made := newService(t, usual()), allIssuers(t)
	s.stop()
	s.server.Phones = phonesWithoutMIC{s.store}
	s.start()
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.MIC: {made.maker.certificate}})
	s.know(t, device, identityOf(t, leaf{issuer: made.maker}, device, capf.MIC), capf.MIC)
	s.pendingByCertificate(device, capf.AuthByMIC, capf.OperationInstall)
	s.checkAccepted(t, s.showing(device, capf.AuthByMIC, identityOf(t, leaf{issuer: s.own()}, device, capf.LSC), nil))
}

// identityOf makes a certificate of a kind for a phone.
func identityOf(t *testing.T, wanted leaf, device string, kind capf.CertificateKind) *phone.Identity {
	t.Helper()
	wanted.name = device
	if kind == capf.MIC {
		wanted.name = "CP-7970G-" + device
	}
	return wanted.make(t)
}

// leaveUnconfirmed has an LSC leave for the phone, whose line breaks before it confirms.
func (s *service) leaveUnconfirmed(t *testing.T, device string) {
	t.Helper()
	s.pending(device, capf.OperationInstall, capf.P256)
	config := s.config(device)
	config.OnMessage = phone.StopAt(7, false, phone.DropRST)
	if outcome := s.call(config); outcome.Err == nil {
		t.Fatal("the line did not break")
	}
	if states := s.states(device); states[capf.CertificateIssued] != 1 || states[capf.CertificateConfirmed] != 0 {
		t.Fatalf("certificates: %v", states)
	}
}

// An LSC whose confirmation was lost counts as confirmed once the phone authenticates by it, whatever
// becomes of the session; those before it are revoked then.
func TestPresentedLSCIsConfirmed(t *testing.T) {
	s := newService(t, usual())
	s.pending(device, capf.OperationInstall, capf.P256)
	config := s.showing(device, capf.AuthByNullString, nil, nil)
	s.checkAccepted(t, config)
	first := s.phone(device).LSC
	s.pendingByCertificate(device, capf.AuthByLSC, capf.OperationInstall)
	config.Mode, config.OnMessage = capf.AuthByLSC, phone.StopAt(7, false, phone.DropRST)
	s.call(config)
	held, err := config.Flash.LSC()
	if err != nil {
		t.Fatal(err)
	}
	if found := s.phone(device); found.LSC.ID != first.ID || first.Serial == capf.FormatSerial(held.Certificate.SerialNumber) {
		t.Fatalf("before the phone shows it the LSC is %s", found.LSC.Serial)
	}
	config.OnMessage = stopAtOperation
	s.call(config)
	found := s.phone(device)
	if found.LSC == nil || found.LSC.Serial != capf.FormatSerial(held.Certificate.SerialNumber) || found.LSC.State != capf.CertificateConfirmed {
		t.Errorf("the LSC is %+v", found.LSC)
	}
	if states := s.states(device); states[capf.CertificateRevoked] != 1 || states[capf.CertificateConfirmed] != 1 || len(s.certificates(device)) != 2 {
		t.Errorf("certificates: %v", states)
	}
	config.OnMessage = nil
	s.checkAccepted(t, config) // the operation was still pending
}

// What a phone authenticates by is on record from then on.
func TestPresentedIsRecorded(t *testing.T) {
	s, made := newService(t, usual()), allIssuers(t)
	s.trust.set(map[capf.CertificateKind][]*x509.Certificate{capf.LSC: {made.earlier.certificate}, capf.MIC: {made.maker.certificate}})
	for kind, test := range map[capf.CertificateKind]struct {
		mode capf.AuthMode
		by   issuer
		lsc  capf.LSCStatus
		mic  capf.MICStatus
	}{
		capf.LSC: {capf.AuthByLSC, made.earlier, capf.LSCInstalled, capf.MICUnknown},
		capf.MIC: {capf.AuthByMIC, made.maker, capf.LSCUnknown, capf.MICPresent},
	} {
		name := "SEP0011223377" + map[capf.CertificateKind]string{capf.LSC: "01", capf.MIC: "02"}[kind]
		shown := identityOf(t, leaf{issuer: test.by}, name, kind)
		s.pendingByCertificate(name, test.mode, capf.OperationInstall)
		config := s.showing(name, test.mode, shown, nil)
		if kind == capf.MIC {
			config = s.showing(name, test.mode, nil, shown)
		}
		config.OnMessage = stopAtOperation
		for range 2 {
			s.call(config)
			found, all := s.phone(name), s.certificates(name)
			if found.LSCStatus(time.Now()) != test.lsc || found.MIC != test.mic || found.LastSession.IsZero() {
				t.Errorf("%s: LSC %s, MIC %s, last session %s", kind, found.LSCStatus(time.Now()), found.MIC, found.LastSession)
			}
			if len(all) != 1 || all[0].Kind != kind || all[0].State != capf.CertificateConfirmed || all[0].Source != capf.SourceSeen ||
				all[0].SHA256 != capf.HexSHA256(shown.Certificate.Raw) {
				t.Errorf("%s: %+v", kind, all)
			}
		}
	}
}
