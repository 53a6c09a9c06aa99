package storetest

import (
	"time"

	"capf/runtime/capf"
)

var sessionTests = map[string]func(*suite){
	"from pending to success":                             sessionSuccess,
	"a failure ends the operation and keeps the LSC":      sessionFailure,
	"a broken line leaves it pending with its string":     sessionRelease,
	"releasing what another instance serves does nothing": sessionReleaseForeign,
	"in progress belongs to an instance that lives":       sessionInstance,
	"nothing after the deadline":                          sessionDeadline,
	"what has ended cannot be begun, issued or ended":     sessionEnded,
	"an operation is of one device":                       sessionForeignDevice,
	"the sweeper ends what is late, batch by batch":       sessionSweep,
	"the result is that of the last outcome or attempt":   sessionResult,
	"an attempt after the deadline is newer than that":    sessionLateAttempt,
	"an attempt up to the deadline is older":              sessionLateChange,
	"an outcome must be an ending of a session":           sessionWrongEnding,
}

func sessionSuccess(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	s.clock.Advance(time.Minute)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	began := s.phone(device(1))
	s.equal("session", []any{began.LastSession, began.LastAddress, began.LastTLS, began.Last.Serving},
		[]any{s.clock.Now(), "192.0.2.7", "1.0", "here"})
	s.equal("string while it runs", began.AuthString, phone.AuthString)

	certificate := newIssuer(s.t, "CAPF").lsc(device(1), newKey(s.t))
	id, err := s.AddIssued(s.ctx, phone.Last.Ref, nil, certificate)
	s.must(err)
	certificate.ID, certificate.Device, certificate.Kind, certificate.State, certificate.Source = id, device(1), capf.LSC, capf.CertificateIssued, capf.SourceIssued
	certificate.Operation, certificate.RecordedAt = phone.Last.Ref.ID, s.clock.Now()
	s.equal("issued certificate", s.certificates(device(1)), []capf.Certificate{certificate})
	if s.phone(device(1)).LSC != nil {
		s.t.Error("the phone has an LSC that it has not confirmed")
	}

	s.clock.Advance(time.Minute)
	s.must(s.EndOperation(s.ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{Confirmed: id, LSC: capf.LSCInstalled})))
	ended := s.phone(device(1))
	if !ended.AuthString.IsZero() {
		s.t.Error("the string outlived its operation")
	}
	certificate.State, certificate.ConfirmedAt = capf.CertificateConfirmed, s.clock.Now()
	s.equal("LSC", ended.LSC, &certificate)
	s.equal("status", ended.Last.Status(s.clock.Now(), "here"), capf.StatusSuccess)
	s.equal("result", ended.LastResult, given(capf.ResultSuccess))
	s.equal("LSC status", ended.LSCStatus(s.clock.Now()), capf.LSCInstalled)
	record := s.operations(device(1))[0]
	s.equal("record", []any{record.EndedAt, record.EndedBy, record.Serving}, []any{s.clock.Now(), "192.0.2.7", ""})
}

func sessionFailure(s *suite) {
	held := s.enrol(newIssuer(s.t, "CAPF"), device(1))
	phone := s.pend(device(1), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	s.must(s.EndOperation(s.ctx, device(1), phone.Last.Ref, capf.Outcome{Ending: capf.EndingFailed, Result: capf.ResultTimedOut,
		Detail: "no key in time", At: s.clock.Now(), By: "service"}))
	after := s.phone(device(1))
	if !after.AuthString.IsZero() {
		s.t.Error("the string outlived its operation")
	}
	s.equal("LSC", after.LSC, &held)
	s.equal("status", after.Last.Status(s.clock.Now(), "here"), capf.StatusFailed)
	s.equal("record", []any{after.Last.Detail, after.Last.EndedBy, after.Last.Result}, []any{"no key in time", "service", given(capf.ResultTimedOut)})
}

func sessionRelease(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	for range 2 {
		s.must(s.ReleaseOperation(s.ctx, phone.Last.Ref, "here", capf.ResultCommunication))
		after := s.phone(device(1))
		s.equal("operation", after.Last, phone.Last)
		s.equal("string", after.AuthString, phone.AuthString)
		s.equal("result", after.LastResult, given(capf.ResultCommunication))
	}
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	s.must(s.EndOperation(s.ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{})))
	s.must(s.ReleaseOperation(s.ctx, phone.Last.Ref, "here", capf.ResultCommunication))
	s.equal("result after the end", s.phone(device(1)).LastResult, given(capf.ResultSuccess))
}

func sessionReleaseForeign(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("new")))
	for _, instance := range []string{"old", ""} {
		s.must(s.ReleaseOperation(s.ctx, phone.Last.Ref, instance, capf.ResultCommunication))
	}
	s.equal("serving", s.phone(device(1)).Last.Serving, "new")
	s.must(s.ReleaseOperation(s.ctx, capf.OperationRef{ID: phone.Last.Ref.ID + 1}, "new", capf.ResultCommunication))
}

func sessionInstance(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	last := s.phone(device(1)).Last
	for living, want := range map[string]capf.Status{"here": capf.StatusInProgress, "next": capf.StatusPending, "": capf.StatusPending} {
		s.equal("status by "+living, last.Status(s.clock.Now(), living), want)
	}
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("next")))
	s.equal("serving", s.phone(device(1)).Last.Serving, "next")
}

func sessionDeadline(s *suite) {
	soon := Start.Add(time.Hour)
	phone := s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationInstall), CompletesBy: &soon})[0].Phone
	i := newIssuer(s.t, "CAPF")
	s.clock.Advance(time.Hour)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	id, err := s.AddIssued(s.ctx, phone.Last.Ref, nil, i.lsc(device(1), newKey(s.t)))
	s.must(err)
	s.clock.Advance(time.Second)
	s.wantCode(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")), capf.CodeSuperseded)
	_, err = s.AddIssued(s.ctx, phone.Last.Ref, nil, i.lsc(device(1), newKey(s.t)))
	s.wantCode(err, capf.CodeSuperseded)
	// The phone has the certificate and says so: that is recorded, late or not.
	s.must(s.EndOperation(s.ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{Confirmed: id})))
	s.equal("certificate", s.certificate(device(1), id).State, capf.CertificateConfirmed)
}

func sessionEnded(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	s.must(s.EndOperation(s.ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{})))
	next := s.pend(device(1), capf.OperationInstall)
	s.wantCode(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")), capf.CodeSuperseded)
	_, err := s.AddIssued(s.ctx, phone.Last.Ref, nil, newIssuer(s.t, "CAPF").lsc(device(1), newKey(s.t)))
	s.wantCode(err, capf.CodeSuperseded)
	s.wantCode(s.EndOperation(s.ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{})), capf.CodeSuperseded)
	s.equal("phone", s.phone(device(1)), func() capf.Phone { next.LastResult = given(capf.ResultSuccess); return next }())
	s.equal("certificates", s.certificates(device(1)), []capf.Certificate(nil))
}

func sessionForeignDevice(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	s.pend(device(2), capf.OperationInstall)
	s.wantCode(s.BeginOperation(s.ctx, device(2), phone.Last.Ref, s.info("here")), capf.CodeSuperseded)
	s.wantCode(s.EndOperation(s.ctx, device(2), phone.Last.Ref, s.success(capf.Outcome{})), capf.CodeSuperseded)
	s.equal("phone", s.phone(device(1)), phone)
}

func sessionSweep(s *suite) {
	soon := Start.Add(time.Hour)
	for n := range 5 {
		s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(n), Operation: given(capf.OperationInstall), CompletesBy: &soon})
	}
	s.pend(device(5), capf.OperationInstall)
	for _, want := range []int{0, 3, 2, 0} {
		count, err := s.ExpireOperations(s.ctx, s.clock.Now(), 3)
		s.must(err)
		s.equal("operations ended", count, want)
		s.clock.Advance(time.Hour + time.Second)
	}
	for n := range 5 {
		phone := s.phone(device(n))
		s.equal("ending", phone.Last.Ending, capf.EndingExpired)
		s.equal("result", phone.LastResult, given(capf.ResultTimedOut))
		if !phone.AuthString.IsZero() {
			s.t.Error("the string outlived the deadline")
		}
	}
	s.equal("not late", s.phone(device(5)).Last.Ending, capf.EndingNone)
}

func sessionResult(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	wrong := capf.Attempt{Device: device(1), Address: "192.0.2.9", At: s.clock.Now(), Result: capf.ResultInvalidAuthString}
	s.must(s.RecordAttempt(s.ctx, wrong))
	before := s.phone(device(1))
	s.equal("result", before.LastResult, given(capf.ResultInvalidAuthString))
	before.LastResult, before.LastAttempt = phone.LastResult, phone.LastAttempt
	s.equal("the rest of the phone", before, phone)
	// All within one second: the order counts, not the clock.
	s.must(s.EndOperation(s.ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{})))
	s.equal("result", s.phone(device(1)).LastResult, given(capf.ResultSuccess))
	s.must(s.RecordAttempt(s.ctx, wrong))
	s.equal("result", s.phone(device(1)).LastResult, given(capf.ResultInvalidAuthString))
}

// Somebody who comes too late is newer than the deadline, whether that has been written by then or not.
func sessionLateAttempt(s *suite) {
	soon := Start.Add(time.Minute)
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationInstall), CompletesBy: &soon})
	attempt := func(result capf.Result) {
		s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(1), Address: "192.0.2.9", At: s.clock.Now(), Result: result}))
	}
	wantResult := func(want capf.Result) {
		s.t.Helper()
		phone := s.phone(device(1))
		s.equal("result", phone.ResultAt(s.clock.Now()), given(want))
	}
	attempt(capf.ResultInvalidAuthString)
	wantResult(capf.ResultInvalidAuthString)
	s.clock.Advance(time.Minute + time.Second)
	wantResult(capf.ResultTimedOut)
	attempt(capf.ResultTooLate)
	wantResult(capf.ResultTooLate)
	_, err := s.ExpireOperations(s.ctx, s.clock.Now(), 1)
	s.must(err)
	s.equal("ending", s.phone(device(1)).Last.Ending, capf.EndingExpired)
	wantResult(capf.ResultTooLate)
	// What is asked for next begins with what was last.
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationInstall)})
	wantResult(capf.ResultTooLate)
}

// Where a change finds the deadline passed and writes that, an attempt up to it is older than the outcome.
func sessionLateChange(s *suite) {
	soon := Start.Add(time.Minute)
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationInstall), CompletesBy: &soon})
	s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(1), Address: "192.0.2.9", At: s.clock.Now(), Result: capf.ResultInvalidAuthString}))
	s.clock.Advance(time.Hour)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationInstall)})
	phone := s.phone(device(1))
	s.equal("result", phone.ResultAt(s.clock.Now()), given(capf.ResultTimedOut))
}

func sessionWrongEnding(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	for _, ending := range []capf.Ending{capf.EndingNone, capf.EndingExpired, capf.EndingWithdrawn, "other"} {
		s.wantCode(s.EndOperation(s.ctx, device(1), phone.Last.Ref, capf.Outcome{Ending: ending}), capf.CodeInternal)
	}
	s.equal("phone", s.phone(device(1)), phone)
}
