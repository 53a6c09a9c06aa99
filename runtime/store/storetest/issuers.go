package storetest

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"capf/runtime/capf"
)

// Authorities is what vouches for certificates, and what does so no more.
type Authorities interface {
	AddAnchors(ctx context.Context, anchors []capf.Anchor, actor string) ([]capf.Anchor, error)
	RemoveAnchor(ctx context.Context, id int64, detail, actor string) error
	KeepPastAuthority(ctx context.Context, past, successor *x509.Certificate, actor string) error
	RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (recorded bool, err error)
	LinkIssuers(ctx context.Context, authorities []capf.Anchor) error
	PhonesByIssuer(ctx context.Context, kind capf.CertificateKind) (map[string]int, error)
	RevokeLSCs(ctx context.Context, device, serial string, reason capf.RevokeReason, actor string) ([]capf.RevokedLSC, error)
	HasSerial(ctx context.Context, serial string) (bool, error)
	RevokedCount(ctx context.Context) (int64, error)
	Revocations(ctx context.Context, issuer string) (capf.Revocations, error)
	NextCRLNumber(ctx context.Context, issuer string, contents capf.Revocations) (int64, error)
	AddAudit(ctx context.Context, actor, action, subject, detail string) error
}

var issuerTests = map[string]func(*suite){
	"anchors are added once":                         anchorsAdded,
	"anchors are added all or none":                  anchorsAllOrNone,
	"anchors are removed":                            anchorsRemoved,
	"a past CAPF certificate becomes an anchor":      anchorsPast,
	"an activation is on record once it was done":    activationRecorded,
	"phones are counted by who signed":               issuersCounted,
	"what a phone may hold counts":                   issuersMayHold,
	"MICs are counted by themselves":                 issuersOfMICs,
	"the LSC of a serial number is revoked":          revokeSerial,
	"the LSCs of a device are revoked":               revokeDevice,
	"what cannot be revoked":                         revokeRefused,
	"a revoked LSC leaves a phone that can enrol":    revokeThenEnrol,
	"a CRL has what its issuer signed and no more":   crlEntries,
	"a CRL drops what expired after it was in one":   crlDropsExpired,
	"CRL numbers grow and never carry older content": crlNumbers,
}

func (i *issuer) anchor(kind capf.CertificateKind) capf.Anchor {
	read := i.read(i.certificate)
	return capf.Anchor{Kind: kind, Subject: read.Subject, Serial: read.Serial, NotBefore: read.NotBefore, NotAfter: read.NotAfter,
		DER: read.DER, SHA256: read.SHA256, Origin: "test", AddedAt: Start}
}

// audited gives the actions of the audit trail that begin so, the newest first.
func (s *suite) audited(prefix string) (entries []string) {
	s.t.Helper()
	all, err := s.Audit(s.ctx, 0)
	s.must(err)
	for _, entry := range all {
		if strings.HasPrefix(entry.Action, prefix) {
			entries = append(entries, entry.Action+" "+entry.Subject)
		}
	}
	return entries
}

func (s *suite) anchors(kind capf.CertificateKind) []capf.Anchor {
	s.t.Helper()
	anchors, err := s.Anchors(s.ctx, kind)
	s.must(err)
	return anchors
}

func anchorsAdded(s *suite) {
	one, other := newIssuer(s.t, "one"), newIssuer(s.t, "other")
	added, err := s.AddAnchors(s.ctx, []capf.Anchor{one.anchor(capf.LSC), one.anchor(capf.LSC)}, actor)
	s.must(err)
	want := one.anchor(capf.LSC)
	want.ID = added[0].ID
	s.equal("added", added, []capf.Anchor{want})
	added, err = s.AddAnchors(s.ctx, []capf.Anchor{one.anchor(capf.LSC), one.anchor(capf.MIC), other.anchor(capf.LSC)}, actor)
	s.must(err)
	s.equal("added the second time", len(added), 2)
	s.equal("LSC anchors", s.anchors(capf.LSC), []capf.Anchor{want, added[1]})
	s.equal("MIC anchors", s.anchors(capf.MIC), added[:1])
	s.equal("audit", len(s.audited("anchor add")), 3)
	owner, found, err := s.PublicKeyOwner(s.ctx, one.read(one.certificate).KeySHA256)
	s.must(err)
	s.equal("owner of an anchor's key", []any{owner, found}, []any{"", true})
}

func anchorsAllOrNone(s *suite) {
	_, err := s.AddAnchors(s.ctx, []capf.Anchor{newIssuer(s.t, "one").anchor(capf.LSC), {Kind: capf.LSC, DER: []byte("no certificate")}}, actor)
	s.wantCode(err, capf.CodeInvalid)
	s.equal("anchors", s.anchors(""), []capf.Anchor(nil))
}

func anchorsRemoved(s *suite) {
	added, err := s.AddAnchors(s.ctx, []capf.Anchor{newIssuer(s.t, "one").anchor(capf.LSC), newIssuer(s.t, "other").anchor(capf.LSC)}, actor)
	s.must(err)
	s.must(s.RemoveAnchor(s.ctx, added[0].ID, "phones=3", actor))
	s.equal("anchors", s.anchors(""), added[1:])
	s.wantCode(s.RemoveAnchor(s.ctx, added[0].ID, "", actor), capf.CodeNotFound)
	s.equal("audit", s.audited("anchor remove"), []string{"anchor remove " + added[0].Serial})
}

func anchorsPast(s *suite) {
	past, successor := newIssuer(s.t, "CAPF-1"), newIssuer(s.t, "CAPF-2")
	for range 2 {
		s.must(s.KeepPastAuthority(s.ctx, past.certificate, successor.certificate, actor))
	}
	anchors := s.anchors(capf.LSC)
	s.equal("anchors", len(anchors), 1)
	s.equal("anchor", []any{anchors[0].SHA256, anchors[0].Origin},
		[]any{past.anchor(capf.LSC).SHA256, "CAPF certificate before " + successor.anchor(capf.LSC).Serial})
	serial := successor.anchor(capf.LSC).Serial
	s.equal("audit", s.audited("ca "), []string{"ca activating " + serial, "ca activating " + serial})
}

// activationRecorded: the first certificate is never activated; the second was begun and replaced; the third is.
func activationRecorded(s *suite) {
	first, second, third := newIssuer(s.t, "CAPF-1"), newIssuer(s.t, "CAPF-2"), newIssuer(s.t, "CAPF-3")
	record := func(one *issuer, note string, want bool) {
		s.t.Helper()
		recorded, err := s.RecordActivation(s.ctx, one.certificate, note)
		s.must(err)
		s.equal("recorded", recorded, want)
	}
	record(first, "", false)
	s.must(s.KeepPastAuthority(s.ctx, first.certificate, second.certificate, "anna"))
	s.must(s.KeepPastAuthority(s.ctx, first.certificate, third.certificate, "berta"))
	record(first, "", false)
	for range 2 {
		record(third, "late", len(s.audited("ca activate")) == 0)
	}
	entries, err := s.Audit(s.ctx, 1)
	s.must(err)
	serial := third.anchor(capf.LSC).Serial
	s.equal("entry", entries, []capf.AuditEntry{{At: Start, Actor: "berta", Action: "ca activate", Subject: serial,
		Detail: fmt.Sprintf("subject=%q after serial=%s subject=%q begun=%s: late", third.certificate.Subject, first.anchor(capf.LSC).Serial,
			first.certificate.Subject, capf.FormatTime(Start))}})
}

// counts links the issuers and counts phones.
func (s *suite) counts(kind capf.CertificateKind, issuers ...*issuer) []int {
	s.t.Helper()
	var authorities []capf.Anchor
	for _, i := range issuers {
		authorities = append(authorities, i.anchor(kind))
	}
	s.must(s.LinkIssuers(s.ctx, authorities))
	byIssuer, err := s.PhonesByIssuer(s.ctx, kind)
	s.must(err)
	counts := make([]int, len(issuers))
	for n, authority := range authorities {
		counts[n] = byIssuer[authority.SHA256]
	}
	return counts
}

// Two authorities of one name: the signature decides.
func issuersCounted(s *suite) {
	one, twin, other := newIssuer(s.t, "CAPF"), newIssuer(s.t, "CAPF"), newIssuer(s.t, "other")
	for n := range 300 { // more than a page
		s.enrol([]*issuer{one, one, twin}[n%3], device(n))
	}
	s.equal("phones", s.counts(capf.LSC, one, twin, other), []int{200, 100, 0})
	s.enrol(twin, device(0))
	s.must(s.RemovePhones(s.ctx, []string{device(1)}, actor))
	s.equal("later", s.counts(capf.LSC, one, twin, other), []int{198, 101, 0})
}

func issuersMayHold(s *suite) {
	one, other := newIssuer(s.t, "one"), newIssuer(s.t, "other")
	s.enrol(one, device(1))
	s.issue(other, device(1)) // not confirmed: it may hold either
	s.equal("phones", s.counts(capf.LSC, one, other), []int{1, 1})
	s.troubleshoot(device(1), capf.Outcome{LSC: capf.LSCNone})
	s.equal("when it is known to hold none", s.counts(capf.LSC, one, other), []int{0, 0})
}

func issuersOfMICs(s *suite) {
	factory := newIssuer(s.t, "Manufacturing")
	mic := factory.lsc(device(1), newKey(s.t))
	mic.Kind = capf.MIC
	s.must(s.beginPresenting(device(1), mic))
	s.equal("phones by MIC", s.counts(capf.MIC, factory), []int{1})
	s.equal("phones by LSC", s.counts(capf.LSC, factory), []int{0})
}

func revokeSerial(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	s.enrol(i, device(2))
	s.clock.Advance(time.Hour)
	before := s.phone(device(1))
	revoked, err := s.RevokeLSCs(s.ctx, "", held.Serial, capf.RevokeKeyCompromise, actor)
	s.must(err)
	s.equal("revoked", []any{len(revoked), revoked[0].WasCurrent, revoked[0].Phone.Device}, []any{1, true, device(1)})
	s.equal("states", s.states(device(1)), []string{"revoked key-compromise"})
	s.equal("certificate", s.certificates(device(1)), []capf.Certificate{revoked[0].Certificate})
	want := before
	want.LSC, want.LSCKnown = nil, capf.LSCUnknown
	s.equal("phone", s.phone(device(1)), want)
	s.equal("states of another phone", s.states(device(2)), []string{"confirmed"})
	s.equal("audit", s.audited("ca revoke"), []string{"ca revoke " + device(1)})
	for serial, want := range map[string]bool{held.Serial: true, "00": false} {
		has, err := s.HasSerial(s.ctx, serial)
		s.must(err)
		s.equal("serial number "+serial, has, want)
	}
}

func revokeDevice(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	s.enrol(i, device(1))
	s.issue(i, device(1))
	revoked, err := s.RevokeLSCs(s.ctx, device(1), "", capf.RevokeUnspecified, actor)
	s.must(err)
	s.equal("revoked", []any{len(revoked), revoked[0].WasCurrent, revoked[1].WasCurrent}, []any{2, true, false})
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "revoked unspecified", "revoked unspecified"})

	// The history of a phone that was removed can be revoked too.
	s.enrol(i, device(2))
	s.must(s.RemovePhones(s.ctx, []string{device(2)}, actor))
	revoked, err = s.RevokeLSCs(s.ctx, device(2), "", capf.RevokeCessation, actor)
	s.must(err)
	s.equal("of a removed phone", []any{len(revoked), revoked[0].Phone == nil}, []any{1, true})
}

func revokeRefused(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	mic := newIssuer(s.t, "Manufacturing").lsc(device(1), newKey(s.t))
	mic.Kind = capf.MIC
	s.must(s.beginPresenting(device(1), mic))
	for _, test := range []struct {
		device, serial string
		want           capf.Code
	}{{"", "00ff", capf.CodeNotFound}, {device(9), "", capf.CodeNotFound}, {"", mic.Serial, capf.CodeRefused}} {
		_, err := s.RevokeLSCs(s.ctx, test.device, test.serial, capf.RevokeUnspecified, actor)
		s.wantCode(err, test.want)
	}
	s.equal("states", s.states(device(1)), []string{"confirmed", "confirmed"})
	_, err := s.RevokeLSCs(s.ctx, "", held.Serial, capf.RevokeUnspecified, actor)
	s.must(err)
	_, err = s.RevokeLSCs(s.ctx, "", held.Serial, capf.RevokeKeyCompromise, actor)
	s.wantCode(err, capf.CodeConflict)
	s.equal("states after", s.states(device(1)), []string{"revoked unspecified", "confirmed"})
}

func revokeThenEnrol(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	_, err := s.RevokeLSCs(s.ctx, device(1), "", capf.RevokeKeyCompromise, actor)
	s.must(err)
	newest := s.enrol(i, device(1))
	s.equal("states", s.states(device(1)), []string{"revoked key-compromise", "confirmed"})
	s.equal("LSC", s.phone(device(1)).LSC, &newest)
}

// revocations links an issuer and reads what its CRL must say.
func (s *suite) revocations(i *issuer) capf.Revocations {
	s.t.Helper()
	s.must(s.LinkIssuers(s.ctx, []capf.Anchor{i.anchor(capf.LSC)}))
	found, err := s.Revocations(s.ctx, i.anchor(capf.LSC).SHA256)
	s.must(err)
	return found
}

func crlEntries(s *suite) {
	ours, twin := newIssuer(s.t, "CAPF"), newIssuer(s.t, "CAPF")
	s.equal("of nothing", s.revocations(ours), capf.Revocations{ReadAt: Start})
	first := s.enrol(ours, device(1))
	s.enrol(twin, device(2))
	s.enrol(twin, device(2))
	s.clock.Advance(time.Hour)
	s.enrol(ours, device(1))
	s.equal("entries", s.revocations(ours), capf.Revocations{Count: 2, ReadAt: s.clock.Now(),
		Entries: []capf.Revocation{{Serial: first.Serial, RevokedAt: s.clock.Now(), Reason: capf.RevokeSuperseded}}})
	count, err := s.RevokedCount(s.ctx)
	s.must(err)
	s.equal("count", count, int64(2))
}

func crlDropsExpired(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	s.enrol(i, device(1))
	var last int64
	number := func() {
		s.t.Helper()
		got, err := s.NextCRLNumber(s.ctx, i.anchor(capf.LSC).SHA256, s.revocations(i))
		s.must(err)
		s.equal("the number has grown", got > last, true)
		last = got
	}
	number()
	s.clock.Advance(5*366*24*time.Hour + time.Hour) // past the end of the LSCs
	s.equal("expired, but on no list made since", len(s.revocations(i).Entries), 1)
	number()
	s.clock.Advance(time.Hour)
	s.equal("after a list made past its end", len(s.revocations(i).Entries), 0)
	_, err := s.RevokeLSCs(s.ctx, device(1), "", capf.RevokeUnspecified, actor)
	s.must(err)
	s.equal("revoked after its end", len(s.revocations(i).Entries), 1)
}

func crlNumbers(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	older := s.revocations(i)
	s.enrol(i, device(1))
	newer := s.revocations(i)
	first := Start.UnixMilli()
	for n := range int64(3) {
		got, err := s.NextCRLNumber(s.ctx, "this", newer)
		s.must(err)
		s.equal("number", got, first+n)
	}
	s.clock.Advance(-time.Hour)
	got, err := s.NextCRLNumber(s.ctx, "this", newer)
	s.must(err)
	s.equal("number with the clock set back", got, first+3)
	s.clock.Advance(time.Hour)
	_, err = s.NextCRLNumber(s.ctx, "this", older)
	s.wantCode(err, capf.CodeConflict)
	got, err = s.NextCRLNumber(s.ctx, "that", older)
	s.must(err)
	s.equal("number of another issuer", got, first)
}
