package storetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"capf/runtime/capf"
)

// Windows is what the maintenance window and automatic renewal need.
type Windows interface {
	RecordHeldCall(ctx context.Context, ref capf.OperationRef, call capf.HeldCall) error
	LastHeldCall(ctx context.Context, device string) (*capf.HeldCall, error)
	RecordResets(ctx context.Context, resets []capf.Reset) error
	LastReset(ctx context.Context, device string) (*capf.Reset, error)
	RenewalsDue(ctx context.Context, now time.Time, yield func(capf.Phone) error) error
}

var windowTests = map[string]func(*suite){
	"a held call is remembered with its operation": heldCall,
	"a held call changes nothing else":             heldCallAlone,
	"resets are remembered and audited":            resets,
	"LSCs come up for renewal in their last third": renewalsDue,
	"more renewals than a page":                    renewalsMany,
	"a change that its condition forbids":          conditionalChange,
}

func heldCall(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	call := capf.HeldCall{Device: device(1), Address: "192.0.2.7", At: Start, Opens: Start.Add(10 * time.Hour)}
	for _, ref := range []capf.OperationRef{{}, {ID: phone.Last.Ref.ID, Revision: phone.Last.Ref.Revision + 1}, {ID: phone.Last.Ref.ID + 1}} {
		s.must(s.RecordHeldCall(s.ctx, ref, call))
	}
	other := call
	other.Device = device(2)
	s.must(s.RecordHeldCall(s.ctx, phone.Last.Ref, other))
	s.equal("held call of what was not pending", s.lastHeldCall(device(1)), (*capf.HeldCall)(nil))
	for range 2 {
		call.At = call.At.Add(time.Minute)
		s.must(s.RecordHeldCall(s.ctx, phone.Last.Ref, call))
		s.equal("held call", s.lastHeldCall(device(1)), &call)
	}
	next := s.pend(device(1), capf.OperationInstall)
	s.equal("held call of the operation before", s.lastHeldCall(device(1)), (*capf.HeldCall)(nil))
	call.Opens = time.Time{}
	s.must(s.RecordHeldCall(s.ctx, next.Last.Ref, call))
	s.equal("held call", s.lastHeldCall(device(1)), &call)
	s.must(s.RemovePhones(s.ctx, []string{device(1)}, actor))
	s.pend(device(1), capf.OperationInstall)
	s.equal("held call of the phone before", s.lastHeldCall(device(1)), (*capf.HeldCall)(nil))
}

func (s *suite) lastHeldCall(device string) *capf.HeldCall {
	s.t.Helper()
	call, err := s.LastHeldCall(s.ctx, device)
	s.must(err)
	return call
}

func heldCallAlone(s *suite) {
	phone := s.pend(device(1), capf.OperationInstall)
	s.must(s.RecordHeldCall(s.ctx, phone.Last.Ref, capf.HeldCall{Device: device(1), Address: "192.0.2.7", At: Start}))
	s.equal("phone", s.phone(device(1)), phone)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
	s.must(s.EndOperation(s.ctx, device(1), phone.Last.Ref, s.success(capf.Outcome{})))
	s.must(s.RecordHeldCall(s.ctx, phone.Last.Ref, capf.HeldCall{Device: device(1), Address: "192.0.2.8", At: Start}))
	s.equal("after the end", s.lastHeldCall(device(1)).Address, "192.0.2.7")
}

func resets(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)}, capf.PhoneChange{Device: device(2)})
	done := capf.Reset{Device: device(1), At: Start, By: capf.ActorWindow}
	failed := capf.Reset{Device: device(2), At: Start, By: "alice", Problem: "no\x1b route"}
	s.must(s.RecordResets(s.ctx, []capf.Reset{done, failed, {Device: device(3), At: Start, By: "alice"}}))
	failed.Problem = "no  route"
	for name, want := range map[string]*capf.Reset{device(1): &done, device(2): &failed, device(3): nil} {
		got, err := s.LastReset(s.ctx, name)
		s.must(err)
		s.equal("reset of "+name, got, want)
	}
	audit, err := s.Audit(s.ctx, 2)
	s.must(err)
	s.equal("audit", audit, []capf.AuditEntry{
		{At: Start, Actor: "alice", Action: "phone reset", Subject: device(2), Detail: "no  route"},
		{At: Start, Actor: capf.ActorWindow, Action: "phone reset", Subject: device(1)}})
	done.At = done.At.Add(time.Hour)
	s.must(s.RecordResets(s.ctx, []capf.Reset{done}))
	got, err := s.LastReset(s.ctx, device(1))
	s.must(err)
	s.equal("the later reset", got, &done)
}

// due gives the phones whose LSC is to be renewed at that time.
func (s *suite) due(now time.Time) []string {
	s.t.Helper()
	var names []string
	s.must(s.RenewalsDue(s.ctx, now, func(phone capf.Phone) error {
		if phone.LSC == nil || now.Before(phone.LSC.RenewalStart().Add(-time.Second)) {
			s.t.Errorf("%s is not due: %+v", phone.Device, phone.LSC)
		}
		names = append(names, phone.Device)
		return nil
	}))
	return names
}

func renewalsDue(s *suite) {
	i := newIssuer(s.t, "CAPF")
	lives := map[string]time.Time{device(1): Start.Add(2 * time.Hour), device(2): Start.Add(5 * time.Hour), device(3): Start.Add(8 * time.Hour)}
	for _, name := range []string{device(3), device(1), device(2)} {
		s.enrolUntil(i, name, lives[name])
	}
	s.pend(device(4), capf.OperationInstall)
	// Each began an hour before Start: the thirds of 3, 6 and 9 hours.
	s.equal("at the start", s.due(Start), []string(nil))
	s.equal("after an hour", s.due(Start.Add(time.Hour)), []string{device(1)})
	s.equal("a second before three", s.due(Start.Add(3*time.Hour-time.Second)), []string{device(1)})
	s.equal("after six, the earliest first", s.due(Start.Add(6*time.Hour)), []string{device(1), device(2), device(3)})
	s.pend(device(2), capf.OperationTroubleshoot)
	s.enrolUntil(i, device(1), Start.AddDate(1, 0, 0)) // renewed
	s.must(s.RemovePhones(s.ctx, []string{device(3)}, actor))
	s.equal("whatever is pending", s.due(Start.Add(6*time.Hour)), []string{device(2)})
	stop := fmt.Errorf("enough")
	if err := s.RenewalsDue(s.ctx, Start.Add(6*time.Hour), func(capf.Phone) error { return stop }); err != stop {
		s.t.Errorf("the error of yield became %v", err)
	}
}

func renewalsMany(s *suite) {
	i, count := newIssuer(s.t, "CAPF"), 600
	var want []string
	for n := range count {
		s.enrolUntil(i, device(n), Start.Add(2*time.Hour))
		want = append(want, device(n))
	}
	got := s.due(Start.Add(2 * time.Hour))
	slices.Sort(got)
	s.equal("phones", got, want)
}

// enrolUntil has a phone install an LSC that ends then.
func (s *suite) enrolUntil(i *issuer, device string, until time.Time) {
	s.t.Helper()
	ref := s.pend(device, capf.OperationInstall).Last.Ref
	id, err := s.AddIssued(s.ctx, ref, nil, i.read(i.sign(device, newKey(s.t), i.certificate, until)))
	s.must(err)
	s.must(s.EndOperation(s.ctx, device, ref, s.success(capf.Outcome{Confirmed: id, LSC: capf.LSCInstalled})))
}

func conditionalChange(s *suite) {
	before := s.pend(device(1), capf.OperationInstall)
	no := func(*capf.Phone) bool { return false }
	yes := func(found *capf.Phone) bool { return found.Device == device(2) && found.Last == nil }
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(2)})
	changed := s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Operation: given(capf.OperationDelete), OnlyIf: no},
		capf.PhoneChange{Device: device(2), Operation: given(capf.OperationInstall), OnlyIf: yes})
	s.equal("effects", []capf.Effect{changed[0].Effect, changed[1].Effect}, []capf.Effect{capf.EffectNone, capf.EffectNew})
	s.equal("left alone", s.phone(device(1)), before)
	after := s.phone(device(2))
	s.equal("changed", after.PendingOperation(Start), capf.OperationInstall)
}
