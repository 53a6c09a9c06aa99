package storetest

import (
	"fmt"
	"time"

	"capf/runtime/capf"
)

var certificateTests = map[string]func(*suite){
	"a confirmed LSC revokes the others":                   certificateSuperseded,
	"an unconfirmed one revokes nothing":                   certificateUnconfirmed,
	"a confirmed delete revokes all":                       certificateDeleted,
	"a failed delete revokes none":                         certificateDeleteFailed,
	"an unconfirmed LSC that is returned is confirmed":     certificateReturned,
	"a confirmed LSC that is returned changes nothing":     certificateReturnedAgain,
	"a revoked LSC that is presented begins nothing":       certificatePresentedRevoked,
	"a revoked LSC stays revoked":                          certificateRevokedReturned,
	"an unknown LSC that is returned is kept as seen":      certificateSeen,
	"a MIC that is returned is kept and revokes nothing":   certificateMIC,
	"an unconfirmed LSC that is presented is confirmed":    certificatePresented,
	"a MIC that is presented is kept":                      certificatePresentedMIC,
	"what was presented is judged at every step":           certificateWithdrawn,
	"an anchor is one of its kind":                         certificateAnchorOfKind,
	"an LSC revoked before it is confirmed is no success":  certificateRevokedUnconfirmed,
	"another's certificate cannot be presented":            certificatePresentedForeign,
	"no LSC found by Troubleshoot revokes nothing":         certificateNoneFound,
	"a public key has one device":                          certificateKeys,
	"the outcome with another's key is refused as a whole": certificateForeignSeen,
	"another device's certificate cannot be confirmed":     certificateForeignConfirm,
	"the same certificate is stored once":                  certificateTwice,
	"one operation makes so many and no more":              certificatesBounded,
	"a list longer than a page":                            certificatesMany,
}

// states gives the state and reason of each certificate of a device, the oldest first.
func (s *suite) states(device string) []string {
	s.t.Helper()
	var states []string
	for _, c := range s.certificates(device) {
		text := string(c.State)
		if c.RevokeReason != "" {
			text += " " + c.RevokeReason
		}
		if revoked := c.State == capf.CertificateRevoked; revoked == c.RevokedAt.IsZero() {
			s.t.Errorf("certificate %d: %s, revoked at %s", c.ID, c.State, capf.FormatTime(c.RevokedAt))
		}
		states = append(states, text)
	}
	return states
}

// issue begins an operation and stores an LSC that the phone does not confirm.
func (s *suite) issue(i *issuer, device string) (capf.OperationRef, capf.Certificate) {
	s.t.Helper()
	ref := s.pend(device, capf.OperationInstall).Last.Ref
	id, err := s.AddIssued(s.ctx, ref, nil, i.lsc(device, newKey(s.t)))
	s.must(err)
	return ref, s.certificate(device, id)
}

// troubleshoot has a phone return a certificate.
func (s *suite) troubleshoot(device string, outcome capf.Outcome) {
	s.t.Helper()
	ref := s.pend(device, capf.OperationTroubleshoot).Last.Ref
	s.must(s.EndOperation(s.ctx, device, ref, s.success(outcome)))
}

func certificateSuperseded(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	s.issue(i, device(1))
	other := s.enrol(i, device(2))
	newest := s.enrol(i, device(1))
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "revoked superseded", "confirmed"})
	s.equal("LSC", s.phone(device(1)).LSC, &newest)
	s.equal("LSC of another phone", s.phone(device(2)).LSC, &other)
	s.equal("states of another phone", s.states(device(2)), []string{"confirmed"})
}

func certificateUnconfirmed(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	ref, _ := s.issue(i, device(1))
	s.must(s.ReleaseOperation(s.ctx, ref, "here", capf.ResultCommunication))
	s.equal("states", s.states(device(1)), []string{"confirmed", "issued"})
	s.must(s.EndOperation(s.ctx, device(1), ref, capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultFailed}))
	s.equal("states", s.states(device(1)), []string{"confirmed", "issued"})
	s.equal("LSC", s.phone(device(1)).LSC, &held)
}

func certificateDeleted(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	s.enrol(i, device(1))
	s.issue(i, device(1))
	s.clock.Advance(time.Hour)
	ref := s.pend(device(1), capf.OperationDelete).Last.Ref
	s.must(s.EndOperation(s.ctx, device(1), ref, s.success(capf.Outcome{LSC: capf.LSCNone})))
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "revoked deleted", "revoked deleted"})
	certificates := s.certificates(device(1))
	s.equal("times", []any{certificates[0].RevokedAt, certificates[1].RevokedAt}, []any{Start, s.clock.Now()})
	phone := s.phone(device(1))
	s.equal("LSC status", phone.LSCStatus(s.clock.Now()), capf.LSCNone)
	if phone.LSC != nil {
		s.t.Error("the phone still has an LSC")
	}
}

func certificateDeleteFailed(s *suite) {
	held := s.enrol(newIssuer(s.t, "CAPF"), device(1))
	ref := s.pend(device(1), capf.OperationDelete).Last.Ref
	s.must(s.EndOperation(s.ctx, device(1), ref, capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultFailed}))
	s.equal("states", s.states(device(1)), []string{"confirmed"})
	s.equal("LSC", s.phone(device(1)).LSC, &held)
}

func certificateReturned(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	_, issued := s.issue(i, device(1))
	s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{issued}, LSC: capf.LSCInstalled})
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "confirmed"})
	s.equal("LSC", s.phone(device(1)).LSC.ID, issued.ID)
}

func certificateReturnedAgain(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	s.issue(i, device(1))
	s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{held}, LSC: capf.LSCInstalled})
	s.equal("states", s.states(device(1)), []string{"confirmed", "issued"})
	s.equal("LSC", s.phone(device(1)).LSC, &held)
}

func certificateRevokedReturned(s *suite) {
	i := newIssuer(s.t, "CAPF")
	old := s.enrol(i, device(1))
	held := s.enrol(i, device(1))
	s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{old}})
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "confirmed"})
	s.equal("LSC", s.phone(device(1)).LSC, &held)
	// What the phone has installed is no LSC that counts.
	s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{old}, LSC: capf.LSCInstalled})
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "confirmed"})
	phone := s.phone(device(1))
	s.equal("LSC status", phone.LSCStatus(s.clock.Now()), capf.LSCUnknown)
	if phone.LSC != nil {
		s.t.Errorf("the phone has an LSC: %+v", phone.LSC)
	}
}

func certificateSeen(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	seen := newIssuer(s.t, "older").lsc(device(1), newKey(s.t))
	seen.Kind = capf.LSC
	s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{seen}, LSC: capf.LSCInstalled})
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "confirmed"})
	phone := s.phone(device(1))
	want := seen
	want.ID, want.Device, want.State, want.Source = phone.LSC.ID, device(1), capf.CertificateConfirmed, capf.SourceSeen
	want.Operation, want.RecordedAt, want.ConfirmedAt = phone.Last.Ref.ID, s.clock.Now(), s.clock.Now()
	s.equal("LSC", phone.LSC, &want)
}

func certificateMIC(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	mic := newIssuer(s.t, "Manufacturing").lsc(device(1), newKey(s.t))
	mic.Kind = capf.MIC
	for range 2 {
		s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{mic}})
	}
	phone := s.phone(device(1))
	s.equal("MIC", phone.MIC, capf.MICPresent)
	s.equal("LSC", phone.LSC, &held)
	s.equal("states", s.states(device(1)), []string{"confirmed", "confirmed"})
}

// beginPresenting begins an operation of a phone that authenticated by a certificate.
func (s *suite) beginPresenting(device string, presented capf.Certificate) error {
	s.t.Helper()
	info := s.info("here")
	info.Presented = &capf.Presented{Certificate: presented}
	return s.BeginOperation(s.ctx, device, s.pend(device, capf.OperationInstall).Last.Ref, info)
}

func certificatePresented(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	_, issued := s.issue(i, device(1))
	for range 2 {
		s.must(s.beginPresenting(device(1), issued))
		s.equal("states", s.states(device(1)), []string{"revoked superseded", "confirmed"})
		s.equal("LSC", s.phone(device(1)).LSC.ID, issued.ID)
	}
}

func certificatePresentedRevoked(s *suite) {
	i := newIssuer(s.t, "CAPF")
	revoked := s.enrol(i, device(1))
	s.enrol(i, device(1))
	s.wantCode(s.beginPresenting(device(1), revoked), capf.CodeAuthentication)
	s.equal("serving", s.phone(device(1)).Last.Serving, "")
}

func certificatePresentedMIC(s *suite) {
	held := s.enrol(newIssuer(s.t, "CAPF"), device(1))
	mic := newIssuer(s.t, "Manufacturing").lsc(device(1), newKey(s.t))
	mic.Kind = capf.MIC
	s.must(s.beginPresenting(device(1), mic))
	phone := s.phone(device(1))
	s.equal("MIC", phone.MIC, capf.MICPresent)
	s.equal("LSC", phone.LSC, &held)
	s.equal("states", s.states(device(1)), []string{"confirmed", "confirmed"})
}

// certificateWithdrawn has the LSC of a phone revoked, or the anchor of its LSC or MIC removed, after a session has
// begun with it: nothing is written any more but that.
func certificateWithdrawn(s *suite) {
	number := 0
	for _, kind := range []capf.CertificateKind{capf.LSC, capf.MIC} {
		for _, revoked := range []bool{true, false} {
			if kind == capf.MIC && revoked {
				continue // nobody revokes those
			}
			number++
			name := device(number)
			i := newIssuer(s.t, "by "+name)
			anchors, err := s.AddAnchors(s.ctx, []capf.Anchor{{Kind: kind, DER: i.certificate.Raw, Origin: "test"}}, actor)
			s.must(err)
			shown := i.lsc(name, newKey(s.t))
			shown.Kind = kind
			presented := &capf.Presented{Certificate: shown, Anchor: anchors[0].SHA256}
			info := s.info("here")
			info.Presented = presented
			ref := s.pend(name, capf.OperationInstall).Last.Ref
			s.must(s.BeginOperation(s.ctx, name, ref, info))
			id, err := s.AddIssued(s.ctx, ref, presented, i.lsc(name, newKey(s.t)))
			s.must(err)
			if revoked {
				_, err = s.RevokeLSCs(s.ctx, "", shown.Serial, capf.RevokeKeyCompromise, actor)
				presented.SHA256 = "of other bytes around what is signed"
			} else {
				err = s.RemoveAnchor(s.ctx, anchors[0].ID, "forced", actor)
			}
			s.must(err)
			phone, certificates := s.phone(name), s.certificates(name)
			s.wantCode(s.BeginOperation(s.ctx, name, ref, info), capf.CodeAuthentication)
			for _, certificate := range []capf.Certificate{i.lsc(name, newKey(s.t)), s.certificate(name, id)} {
				_, err = s.AddIssued(s.ctx, ref, presented, certificate)
				s.wantCode(err, capf.CodeAuthentication)
			}
			for _, outcome := range []capf.Outcome{{Confirmed: id, LSC: capf.LSCInstalled}, {LSC: capf.LSCNone}, {Seen: []capf.Certificate{shown}}} {
				outcome.Presented = presented
				s.wantCode(s.EndOperation(s.ctx, name, ref, s.success(outcome)), capf.CodeAuthentication)
			}
			s.equal("phone", s.phone(name), phone)
			s.equal("certificates", s.certificates(name), certificates)

			result := map[capf.CertificateKind]capf.Result{capf.LSC: capf.ResultInvalidLSC, capf.MIC: capf.ResultInvalidMIC}[kind]
			s.must(s.ReleaseOperation(s.ctx, ref, "here", result))
			phone = s.phone(name)
			s.equal("status", []any{phone.Last.Status(s.clock.Now(), "here"), phone.LastResult}, []any{capf.StatusPending, given(result)})
			// Another who authenticates brings the operation to its end.
			s.must(s.BeginOperation(s.ctx, name, ref, s.info("here")))
			s.must(s.EndOperation(s.ctx, name, ref, s.success(capf.Outcome{Confirmed: id, LSC: capf.LSCInstalled})))
		}
	}
}

// certificateAnchorOfKind: that a CA vouches for certificates of one kind says nothing of the other.
func certificateAnchorOfKind(s *suite) {
	i := newIssuer(s.t, "CAPF")
	anchors, err := s.AddAnchors(s.ctx, []capf.Anchor{{Kind: capf.MIC, DER: i.certificate.Raw, Origin: "test"}}, actor)
	s.must(err)
	shown := i.lsc(device(1), newKey(s.t))
	shown.Kind = capf.LSC
	info := s.info("here")
	info.Presented = &capf.Presented{Certificate: shown, Anchor: anchors[0].SHA256}
	s.wantCode(s.BeginOperation(s.ctx, device(1), s.pend(device(1), capf.OperationInstall).Last.Ref, info), capf.CodeAuthentication)
}

// certificateRevokedUnconfirmed: what the phone has stored is worth nothing, and what it held before is gone from it.
func certificateRevokedUnconfirmed(s *suite) {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	ref, issued := s.issue(i, device(1))
	_, err := s.RevokeLSCs(s.ctx, "", issued.Serial, capf.RevokeKeyCompromise, actor)
	s.must(err)
	before := s.phone(device(1))
	s.wantCode(s.EndOperation(s.ctx, device(1), ref, s.success(capf.Outcome{Confirmed: issued.ID, LSC: capf.LSCInstalled})), capf.CodeRefused)
	s.equal("phone", s.phone(device(1)), before)
	s.equal("states", s.states(device(1)), []string{"confirmed", "revoked key-compromise"})

	s.must(s.EndOperation(s.ctx, device(1), ref, capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultInvalidLSC, Confirmed: issued.ID, LSC: capf.LSCUnknown}))
	after := s.phone(device(1))
	s.equal("LSC status", after.LSCStatus(s.clock.Now()), capf.LSCUnknown)
	if after.LSC != nil {
		s.t.Errorf("the phone has an LSC: %+v", after.LSC)
	}
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "revoked key-compromise"})
}

func certificatePresentedForeign(s *suite) {
	held := s.enrol(newIssuer(s.t, "CAPF"), device(1))
	s.wantCode(s.beginPresenting(device(2), held), capf.CodeRefused)
	s.equal("serving", s.phone(device(2)).Last.Serving, "")
	s.equal("certificates of the second", s.certificates(device(2)), []capf.Certificate(nil))
}

func certificateNoneFound(s *suite) {
	s.enrol(newIssuer(s.t, "CAPF"), device(1))
	s.troubleshoot(device(1), capf.Outcome{LSC: capf.LSCNone})
	s.equal("states", s.states(device(1)), []string{"confirmed"})
	phone := s.phone(device(1))
	s.equal("LSC status", phone.LSCStatus(s.clock.Now()), capf.LSCNone)
	if phone.LSC != nil {
		s.t.Error("the phone has an LSC that it says it has not")
	}
}

func certificateKeys(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	owner, found, err := s.PublicKeyOwner(s.ctx, held.KeySHA256)
	s.must(err)
	s.equal("owner", []any{owner, found}, []any{device(1), true})
	_, found, err = s.PublicKeyOwner(s.ctx, capf.HexSHA256([]byte("other")))
	s.must(err)
	s.equal("owner of no key", found, false)

	key := newKey(s.t)
	ref := s.pend(device(1), capf.OperationInstall).Last.Ref
	_, err = s.AddIssued(s.ctx, ref, nil, i.lsc(device(1), key))
	s.must(err)
	_, err = s.AddIssued(s.ctx, ref, nil, i.lsc(device(1), key)) // its own key again is no theft
	s.must(err)
	_, err = s.AddIssued(s.ctx, s.pend(device(2), capf.OperationInstall).Last.Ref, nil, i.lsc(device(2), key))
	s.wantCode(err, capf.CodeRefused)
	s.equal("certificates of the second", s.certificates(device(2)), []capf.Certificate(nil))
}

func certificateForeignSeen(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	phone := s.pend(device(2), capf.OperationTroubleshoot)
	err := s.EndOperation(s.ctx, device(2), phone.Last.Ref, s.success(capf.Outcome{Seen: []capf.Certificate{held}, LSC: capf.LSCInstalled}))
	s.wantCode(err, capf.CodeRefused)
	s.equal("phone", s.phone(device(2)), phone)
	s.equal("states of the first", s.states(device(1)), []string{"confirmed"})
}

func certificateForeignConfirm(s *suite) {
	i := newIssuer(s.t, "CAPF")
	_, issued := s.issue(i, device(1))
	phone := s.pend(device(2), capf.OperationInstall)
	for _, id := range []int64{issued.ID, issued.ID + 1000} {
		err := s.EndOperation(s.ctx, device(2), phone.Last.Ref, s.success(capf.Outcome{Confirmed: id}))
		s.wantCode(err, capf.CodeNotFound)
	}
	s.equal("phone", s.phone(device(2)), phone)
	s.equal("states of the first", s.states(device(1)), []string{"issued"})
}

func certificateTwice(s *suite) {
	ref, issued := s.issue(newIssuer(s.t, "CAPF"), device(1))
	id, err := s.AddIssued(s.ctx, ref, nil, issued) // it leaves again
	s.must(err)
	s.equal("ID", id, issued.ID)
	s.equal("certificates", s.certificates(device(1)), []capf.Certificate{issued})
	_, err = s.AddIssued(s.ctx, s.pend(device(1), capf.OperationInstall).Last.Ref, nil, issued)
	s.wantCode(err, capf.CodeConflict)
	s.equal("states", s.states(device(1)), []string{"issued"})
}

// mostIssued is how many certificates one operation can have: what a stranger can make under the null string.
const mostIssued = 32

func certificatesBounded(s *suite) {
	i := newIssuer(s.t, "CAPF")
	ref := s.pend(device(1), capf.OperationInstall).Last.Ref
	key := newKey(s.t)
	for range mostIssued {
		_, err := s.AddIssued(s.ctx, ref, nil, i.lsc(device(1), key))
		s.must(err)
	}
	_, err := s.AddIssued(s.ctx, ref, nil, i.lsc(device(1), key))
	s.wantCode(err, capf.CodeRefused)
	s.equal("certificates", len(s.certificates(device(1))), mostIssued)
	_, err = s.AddIssued(s.ctx, ref, nil, s.certificates(device(1))[0]) // one of those may leave again
	s.must(err)
}

func certificatesMany(s *suite) {
	const count = 300
	i := newIssuer(s.t, "CAPF")
	var ref capf.OperationRef
	key := newKey(s.t)
	var want []string
	for n := range count {
		if n%mostIssued == 0 { // no operation can have more
			ref = s.pend(device(1), capf.OperationInstall).Last.Ref
		}
		certificate := i.lsc(device(1), key)
		_, err := s.AddIssued(s.ctx, ref, nil, certificate)
		s.must(err)
		want = append(want, certificate.SHA256)
	}
	for _, name := range []string{"", device(1)} {
		var got []string
		for _, certificate := range s.certificates(name) {
			got = append(got, certificate.SHA256)
		}
		s.equal(fmt.Sprintf("certificates of %q", name), got, want)
	}
	s.equal("certificates of nobody", s.certificates(device(2)), []capf.Certificate(nil))
}
