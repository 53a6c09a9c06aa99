package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"capf/runtime/capf"
)

var phoneTests = map[string]func(*suite){
	"a new phone reads as it was made":                   phoneRoundTrip,
	"each mode says what it does not allow":              phoneModes,
	"all changes or none, every error said":              phonesAllOrNone,
	"a trial writes nothing":                             phonesTrial,
	"replacing ends the operation and its string":        phoneReplace,
	"withdrawing ends the operation and its string":      phoneWithdraw,
	"amending keeps the identity under a new revision":   phoneAmend,
	"a later deadline does not disturb a session":        phoneLaterDeadline,
	"what changes nothing leaves no trace":               phoneIdle,
	"a change after the deadline ends what was pending":  phoneChangeAfterDeadline,
	"a removed phone begins anew and its history stays":  phoneRemove,
	"removing is all or none":                            phonesRemoveAllOrNone,
	"a device twice in a set is refused":                 phonesTwice,
	"the audit trail names changes and never the string": phoneAudit,
	"a set larger than a page":                           phonesMany,
}

func phoneRoundTrip(s *suite) {
	digits, err := capf.ParseAuthenticationString("0042")
	s.must(err)
	deadline := Start.Add(48 * time.Hour)
	changed := s.apply(capf.ApplyAdd, capf.PhoneChange{Device: "00:11:22:aa:bb:cc", Operation: given(capf.OperationInstall),
		AuthString: &digits, KeySize: given(capf.RSA2048), CompletesBy: &deadline, Description: given("Lobby, “east”")})[0]
	phone := s.phone("SEP001122AABBCC")
	s.equal("phone as stored", phone, changed.Phone)
	s.equal("phone", phone, capf.Phone{Device: "SEP001122AABBCC", Description: "Lobby, “east”", AuthMode: capf.AuthByString,
		AuthString: digits, KeySize: capf.RSA2048, SecurityMode: capf.NonSecure, LSCHash: capf.HashSHA256, LSCKnown: capf.LSCUnknown, MIC: capf.MICUnknown,
		Last: &capf.OperationRecord{Ref: changed.Phone.Last.Ref, Device: "SEP001122AABBCC", Operation: capf.OperationInstall,
			AuthMode: capf.AuthByString, KeySize: capf.RSA2048, CompletesBy: deadline, CreatedAt: Start, CreatedBy: actor}})
	s.equal("history", s.operations("SEP001122AABBCC"), []capf.OperationRecord{*phone.Last})
	if phone.Last.Ref.ID == 0 {
		s.t.Fatal("the operation has no ID")
	}
}

func phoneModes(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	_, err := s.ApplyChanges(s.ctx, capf.ApplyAdd, []capf.PhoneChange{{Device: device(1)}}, capf.ChangeContext{Actor: actor})
	s.wantCode(err, capf.CodeConflict)
	_, err = s.ApplyChanges(s.ctx, capf.ApplySet, []capf.PhoneChange{{Device: device(2)}}, capf.ChangeContext{Actor: actor})
	s.wantCode(err, capf.CodeNotFound)
	_, err = s.ApplyChanges(s.ctx, capf.ApplyUpsert, []capf.PhoneChange{{Device: "no/name"}}, capf.ChangeContext{Actor: actor})
	s.wantCode(err, capf.CodeInvalid)
	_, err = s.Phone(s.ctx, device(2))
	s.wantCode(err, capf.CodeNotFound)
	s.apply(capf.ApplyUpsert, capf.PhoneChange{Device: device(1)}, capf.PhoneChange{Device: device(2)})
	s.equal("phones", s.names(capf.PhoneFilter{}), []string{device(1), device(2)})
}

func phonesAllOrNone(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	_, err := s.ApplyChanges(s.ctx, capf.ApplyUpsert, []capf.PhoneChange{
		{Device: device(1), Description: given("changed")},
		{Device: device(2), SecurityMode: given(capf.Encrypted)},
		{Device: device(3)},
		{Device: device(4), Description: given("\x00")},
	}, capf.ChangeContext{Actor: actor})
	if err == nil {
		s.t.Fatal("a secure phone by authentication string was let through")
	}
	for _, name := range []string{device(2), device(4)} {
		if !strings.Contains(err.Error(), name) {
			s.t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	s.equal("phones", s.names(capf.PhoneFilter{}), []string{device(1)})
	s.equal("description", s.phone(device(1)).Description, "")
}

func phonesTrial(s *suite) {
	trail, err := s.Audit(s.ctx, 0)
	s.must(err)
	changed, err := s.TryChanges(s.ctx, capf.ApplyUpsert, []capf.PhoneChange{{Device: device(1), Operation: given(capf.OperationInstall)}},
		capf.ChangeContext{Actor: actor})
	s.must(err)
	if len(changed) != 1 || changed[0].Effect != capf.EffectNew {
		s.t.Fatalf("got %v, want one new operation", changed)
	}
	s.equal("phones", s.names(capf.PhoneFilter{}), []string(nil))
	after, err := s.Audit(s.ctx, 0)
	s.must(err)
	s.equal("audit trail", after, trail)
}

func phoneReplace(s *suite) {
	first := s.pend(device(1), capf.OperationInstall)
	s.clock.Advance(time.Minute)
	second := s.pend(device(1), capf.OperationTroubleshoot)
	if first.Last.Ref.ID == second.Last.Ref.ID || first.AuthString.Same(second.AuthString) {
		s.t.Fatal("the operation or its string went on under the new one")
	}
	want := *first.Last
	want.Ending, want.EndedAt, want.EndedBy = capf.EndingReplaced, s.clock.Now(), actor
	s.equal("history", s.operations(device(1)), []capf.OperationRecord{*second.Last, want})
	s.equal("phone", s.phone(device(1)), second)
}

func phoneWithdraw(s *suite) {
	pending := s.pend(device(1), capf.OperationInstall)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationNone)})
	phone := s.phone(device(1))
	if !phone.AuthString.IsZero() {
		s.t.Error("the string outlived its operation")
	}
	s.equal("status", phone.Last.Status(s.clock.Now(), ""), capf.StatusNone)
	s.equal("ending", s.operations(device(1))[0].Ending, capf.EndingWithdrawn)
	s.wantCode(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")), capf.CodeSuperseded)
}

func phoneAmend(s *suite) {
	pending := s.pend(device(1), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")))
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), KeySize: given(capf.RSA2048)})
	phone := s.phone(device(1))
	s.equal("identity", phone.Last.Ref, capf.OperationRef{ID: pending.Last.Ref.ID, Revision: pending.Last.Ref.Revision + 1})
	s.equal("key size", phone.Last.KeySize, capf.RSA2048)
	s.equal("string", phone.AuthString, pending.AuthString)
	s.equal("serving", phone.Last.Serving, "")
	_, err := s.AddIssued(s.ctx, pending.Last.Ref, nil, newIssuer(s.t, "CAPF").lsc(device(1), newKey(s.t)))
	s.wantCode(err, capf.CodeSuperseded)
	err = s.EndOperation(s.ctx, device(1), pending.Last.Ref, s.success(capf.Outcome{}))
	s.wantCode(err, capf.CodeSuperseded)
	s.wantCode(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")), capf.CodeSuperseded)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	s.must(s.ReleaseOperation(s.ctx, pending.Last.Ref, "here", capf.ResultCommunication))
	s.equal("serving after the old session's release", s.phone(device(1)).Last.Serving, "here")
}

func phoneLaterDeadline(s *suite) {
	pending := s.pend(device(1), capf.OperationInstall)
	s.must(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")))
	later := Start.AddDate(0, 1, 0)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), CompletesBy: &later})
	phone := s.phone(device(1))
	s.equal("identity", phone.Last.Ref, pending.Last.Ref)
	s.equal("deadline", phone.Last.CompletesBy, later)
	s.equal("status", phone.Last.Status(s.clock.Now(), "here"), capf.StatusInProgress)
}

func phoneIdle(s *suite) {
	s.pend(device(1), capf.OperationInstall)
	before := s.phone(device(1))
	trail, err := s.Audit(s.ctx, 0)
	s.must(err)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), KeySize: given(before.KeySize)})
	after, err := s.Audit(s.ctx, 0)
	s.must(err)
	s.equal("phone", s.phone(device(1)), before)
	s.equal("audit trail", after, trail)
}

func phoneChangeAfterDeadline(s *suite) {
	s.pend(device(1), capf.OperationInstall)
	s.clock.Advance(30 * 24 * time.Hour)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Description: given("late")})
	record := s.operations(device(1))[0]
	s.equal("ending", record.Ending, capf.EndingExpired)
	s.equal("result", record.Result, given(capf.ResultTimedOut))
	phone := s.phone(device(1))
	s.equal("result of the phone", phone.LastResult, given(capf.ResultTimedOut))
	if !phone.AuthString.IsZero() {
		s.t.Error("the string outlived the deadline")
	}
}

func phoneRemove(s *suite) {
	i := newIssuer(s.t, "CAPF")
	held := s.enrol(i, device(1))
	pending := s.pend(device(1), capf.OperationInstall)
	s.must(s.RemovePhones(s.ctx, []string{device(1)}, actor))
	_, err := s.Phone(s.ctx, device(1))
	s.wantCode(err, capf.CodeNotFound)
	s.wantCode(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")), capf.CodeSuperseded)

	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	phone := s.phone(device(1))
	s.equal("phone", phone, capf.NewPhone(device(1), capf.Parameters{}))
	s.equal("certificates", s.certificates(device(1)), []capf.Certificate{held})
	history := s.operations(device(1))
	s.equal("operations in the history", len(history), 2)
	s.equal("what was pending", history[0].Ending, capf.EndingWithdrawn)
}

func phonesRemoveAllOrNone(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)}, capf.PhoneChange{Device: device(2)})
	err := s.RemovePhones(s.ctx, []string{device(1), device(3), device(4)}, actor)
	s.wantCode(err, capf.CodeNotFound)
	for _, name := range []string{device(3), device(4)} {
		if !strings.Contains(err.Error(), name) {
			s.t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	s.equal("phones", s.names(capf.PhoneFilter{}), []string{device(1), device(2)})
}

func phonesTwice(s *suite) {
	_, err := s.ApplyChanges(s.ctx, capf.ApplyUpsert, []capf.PhoneChange{{Device: device(1)}, {Device: device(1)}},
		capf.ChangeContext{Actor: actor})
	s.wantCode(err, capf.CodeConflict)
	_, err = s.ApplyChanges(s.ctx, capf.ApplyUpsert, []capf.PhoneChange{{Device: "SEP0011223344AA"}, {Device: "00-11-22-33-44-aa"}},
		capf.ChangeContext{Actor: actor})
	s.wantCode(err, capf.CodeConflict)
}

func phoneAudit(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	digits, err := capf.ParseAuthenticationString("314159")
	s.must(err)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), AuthString: &digits, Description: given("desk")})
	s.must(s.RemovePhones(s.ctx, []string{device(1)}, "another"))
	trail, err := s.Audit(s.ctx, 0)
	s.must(err)
	var actions []string
	for _, entry := range trail {
		actions = append(actions, entry.Actor+": "+entry.Action+" "+entry.Subject)
		for _, secret := range []string{phone.AuthString.Reveal(), digits.Reveal()} {
			if strings.Contains(fmt.Sprint(entry), secret) {
				s.t.Errorf("the audit trail has an authentication string: %q", entry.Detail)
			}
		}
	}
	s.equal("audit trail", actions, []string{"another: phone remove " + device(1), actor + ": phone set " + device(1), actor + ": phone add " + device(1)})
	if !strings.Contains(trail[1].Detail, "desk") || !strings.Contains(trail[1].Detail, "auth-string") {
		s.t.Errorf("the entry does not say what was set: %q", trail[1].Detail)
	}
	newest, err := s.Audit(s.ctx, 1)
	s.must(err)
	s.equal("newest entry", newest, trail[:1])
}

func phonesMany(s *suite) {
	const count = 700
	changes := make([]capf.PhoneChange, count)
	var want []string
	for n := range changes {
		changes[count-1-n] = capf.PhoneChange{Device: device(n), Operation: given(capf.OperationInstall)}
		want = append(want, device(n))
	}
	changed := s.apply(capf.ApplyUpsert, changes...)
	s.equal("phones in order", s.names(capf.PhoneFilter{}), want)
	for _, n := range []int{0, count / 2, count - 1} {
		s.equal("phone", s.phone(changed[n].Phone.Device), changed[n].Phone)
	}
	stop := errors.New("enough")
	seen := 0
	err := s.Phones(s.ctx, capf.PhoneFilter{}, func(capf.Phone) error {
		if seen++; seen == 300 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 300 {
		s.t.Fatalf("the list went on after its reader stopped: %d phones, %v", seen, err)
	}
}
