package storetest

import (
	"time"

	"capf/runtime/capf"
)

var rollbackTests = map[string]func(*suite){
	"what a run added goes":                         rollbackAdded,
	"what a run updated is as it was":               rollbackUpdated,
	"a trial says the same and changes nothing":     rollbackTrial,
	"runs go back the newest first":                 rollbackOrder,
	"two runs on a phone go back to the first":      rollbackTwice,
	"what a person has changed stays":               rollbackPerson,
	"what a phone has changed stays":                rollbackPhone,
	"a phone that only called stays":                rollbackCalled,
	"a phone that was removed stays removed":        rollbackRemoved,
	"certificates that were shown or revoked stay":  rollbackCertificates,
	"an anchor on which LSCs hang stays":            rollbackAnchor,
	"parameters that were set since stay":           rollbackParameters,
	"a reopened operation can be carried out":       rollbackReopened,
	"a late operation is reopened without a string": rollbackLate,
	"that an operation expired is no change":        rollbackExpired,
	"an operation that went on keeps its outcome":   rollbackWentOn,
	"what was staged before is refused":             rollbackStaged,
	"records of kept phones stay known":             rollbackKnown,
	"what was taken over and kept again is named":   rollbackTakenAgain,
}

// state is all that a rollback restores, as it can be read. The count of changes goes on.
type state struct {
	Phones       []capf.Phone
	Origins      map[string]capf.Provenance
	Operations   [][]capf.OperationRecord
	Certificates []capf.Certificate
	Anchors      []capf.Anchor
	Parameters   capf.Parameters
}

func (s *suite) state() state {
	s.t.Helper()
	out := state{Origins: map[string]capf.Provenance{}, Certificates: s.certificates("")}
	s.must(s.Phones(s.ctx, capf.PhoneFilter{}, func(phone capf.Phone) error {
		out.Phones = append(out.Phones, phone)
		return nil
	}))
	for device, origin := range s.provenances() {
		origin.Changes = 0
		out.Origins[device] = origin
	}
	for n := range 10 {
		out.Operations = append(out.Operations, s.operations(device(n)))
	}
	var err error
	out.Anchors, err = s.Anchors(s.ctx, "")
	s.must(err)
	out.Parameters, err = s.Parameters(s.ctx)
	s.must(err)
	return out
}

// rollBack goes back before a run, of which that many things stay.
func (s *suite) rollBack(run int64, kept int) capf.Rollback {
	s.t.Helper()
	done, err := s.RollBackRun(s.ctx, run, "undoer")
	s.must(err)
	if len(done.Kept) != kept {
		s.t.Fatalf("%d things stay, not %d: %v", len(done.Kept), kept, done.Kept)
	}
	return done
}

// wantKept sees that one thing stays, for a reason.
func (s *suite) wantKept(done capf.Rollback, kind capf.RollbackKind, name, reason string) {
	s.t.Helper()
	s.equal("kept", done.Kept, []capf.RollbackKept{{Kind: kind, Name: name, Reason: reason}})
}

// updated is a record that changes a phone of the store.
func updated(name string, ending capf.Ending, description string) Planned {
	out := record(name, capf.VerdictUpdated, legacyPhone(name, ending))
	out.Phone.Description = description
	return out
}

// added is a record of a new phone that is pending.
func added(n int) Planned {
	return record(device(n), capf.VerdictNew, legacyPhone(device(n), capf.EndingNone))
}

func rollbackAdded(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(9)})
	s.must(s.RecordAttempt(s.ctx, capf.Attempt{Device: device(1), Address: "192.0.2.7", At: s.clock.Now(), Result: capf.ResultFailed}))
	before := s.state()
	for turn := range 2 { // the same sources are new again
		id := s.stage("key", added(1), record(device(2), capf.VerdictNew, legacyPhone(device(2), capf.EndingSuccess)))
		s.must(s.StageFiles(s.ctx, id, legacyFiles(newIssuer(s.t, "CAPF-1"), device(2))))
		s.must(s.StageParameters(s.ctx, id, map[string]string{capf.ParamValidity: "3"}))
		s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{New: 2}))
		s.clock.Advance(time.Minute)
		done := s.rollBack(id, 0)
		s.equal("counts", done.Counts, capf.RollbackCounts{PhonesRemoved: 2, OperationsRemoved: 2, Certificates: 1, Anchors: 1, Parameters: 1})
		s.equal("state", s.state(), before)
		runs, err := s.Runs(s.ctx)
		s.must(err)
		s.equal("runs", len(runs), turn+1)
		s.equal("rolled back", []any{runs[turn].RolledBackAt, runs[turn].RolledBackBy}, []any{s.clock.Now(), "undoer"})
		s.equal("history", len(collect(s, func(yield func(capf.ImportRecord) error) error { return s.ImportRecords(s.ctx, id, yield) })), 2)
		applied, err := s.AppliedRun(s.ctx, "key")
		s.must(err)
		has := s.hasRecord(device(1), added(1).Digest)
		if applied != nil || has {
			s.t.Errorf("the run still counts: %v, %t", applied, has)
		}
	}
	trail, err := s.Audit(s.ctx, 1)
	s.must(err)
	s.equal("audit entry", trail[0].Actor+" "+trail[0].Action, "undoer migrate rollback")
}

// prepareUpdates makes phones in every state that a run may meet, and gives the records that change them.
func prepareUpdates(s *suite) []Planned {
	i := newIssuer(s.t, "CAPF")
	s.enrol(i, device(1))
	s.pend(device(1), capf.OperationTroubleshoot)
	s.pend(device(2), capf.OperationInstall)
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(3), Description: given("never had one"), LSCHash: given(capf.HashSHA1)})
	s.pend(device(4), capf.OperationInstall)
	ref := s.phone(device(4)).Last.Ref
	s.must(s.BeginOperation(s.ctx, device(4), ref, s.info("here")))
	s.must(s.ReleaseOperation(s.ctx, ref, "here", capf.ResultCommunication))
	s.enrol(i, device(5))
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(5), SecurityMode: given(capf.Encrypted), AuthMode: given(capf.AuthByLSC), KeySize: given(capf.RSA2048)})
	s.run("first", added(6))
	s.clock.Advance(time.Minute)
	records := []Planned{updated(device(1), capf.EndingNone, "one"), updated(device(2), capf.EndingSuccess, "two"),
		updated(device(3), capf.EndingFailed, "three"), updated(device(4), capf.EndingNone, "four"),
		updated(device(5), capf.EndingSuccess, "five"), updated(device(6), capf.EndingSuccess, "six"), added(7)}
	records[1].Phone.Last = nil
	return records
}

func rollbackUpdated(s *suite) {
	records := prepareUpdates(s)
	before := s.state()
	id := s.run("second", records...)
	s.clock.Advance(time.Hour)
	done := s.rollBack(id, 0)
	s.equal("counts", done.Counts, capf.RollbackCounts{PhonesRemoved: 1, PhonesRestored: 6, OperationsRemoved: 6, OperationsReopened: 4})
	s.equal("state", s.state(), before)
}

func rollbackTrial(s *suite) {
	id := s.run("second", prepareUpdates(s)...)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(3), Description: given("mine")})
	before, trail := s.state(), s.auditLength()
	tried, err := s.TryRollBack(s.ctx, id, "undoer")
	s.must(err)
	s.equal("state", s.state(), before)
	s.equal("audit trail", s.auditLength(), trail)
	done := s.rollBack(id, 1)
	s.equal("tried", tried.DryRun, true)
	tried.DryRun = false
	s.equal("what a trial says", tried, done)
}

func (s *suite) auditLength() int {
	s.t.Helper()
	trail, err := s.Audit(s.ctx, 0)
	s.must(err)
	return len(trail)
}

func rollbackOrder(s *suite) {
	first := s.run("first", added(1))
	second := s.run("second", added(2))
	_, err := s.RollBackRun(s.ctx, first, "undoer")
	s.wantCode(err, capf.CodeConflict)
	_, err = s.TryRollBack(s.ctx, first, "undoer")
	s.wantCode(err, capf.CodeConflict)
	_, err = s.RollBackRun(s.ctx, second+1, "undoer")
	s.wantCode(err, capf.CodeNotFound)
	_, err = s.RollBackRun(s.ctx, s.begin("staged"), "undoer")
	s.wantCode(err, capf.CodeNotFound)
	s.equal("phones", len(s.names(capf.PhoneFilter{})), 2)
	s.rollBack(second, 0)
	_, err = s.RollBackRun(s.ctx, second, "undoer")
	s.wantCode(err, capf.CodeConflict)
	s.rollBack(first, 0)
	s.equal("phones", len(s.names(capf.PhoneFilter{})), 0)
}

func rollbackTwice(s *suite) {
	s.pend(device(1), capf.OperationInstall)
	before := s.state()
	first := s.run("first", updated(device(1), capf.EndingNone, "first"), added(2))
	between := s.state()
	second := s.run("second", updated(device(1), capf.EndingSuccess, "second"), updated(device(2), capf.EndingNone, "second"))
	s.rollBack(second, 0)
	s.equal("state", s.state(), between)
	s.rollBack(first, 0)
	s.equal("state", s.state(), before)
}

func rollbackReopened(s *suite) {
	pending := s.pend(device(1), capf.OperationInstall)
	s.rollBack(s.run("key", updated(device(1), capf.EndingNone, "old")), 0)
	s.equal("phone", s.phone(device(1)), pending)
	s.must(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")))
	s.must(s.EndOperation(s.ctx, device(1), pending.Last.Ref, s.success(capf.Outcome{})))
}

func rollbackLate(s *suite) {
	pending := s.pend(device(1), capf.OperationInstall)
	id := s.run("key", updated(device(1), capf.EndingNone, "old"))
	s.clock.Advance(pending.Last.CompletesBy.Sub(s.clock.Now()) + time.Second)
	s.rollBack(id, 0)
	phone := s.phone(device(1))
	s.equal("status", phone.Last.Status(s.clock.Now(), ""), capf.StatusExpired)
	s.equal("string", phone.AuthString.IsZero(), true)
	s.wantCode(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")), capf.CodeSuperseded)
	ended, err := s.ExpireOperations(s.ctx, s.clock.Now(), 10)
	s.must(err)
	s.equal("ended", ended, 1)
}

func rollbackExpired(s *suite) {
	before := s.state()
	id := s.run("key", added(1))
	s.clock.Advance(11 * 24 * time.Hour)
	ended, err := s.ExpireOperations(s.ctx, s.clock.Now(), 10)
	s.must(err)
	s.equal("ended", ended, 1)
	s.rollBack(id, 0)
	s.equal("state", s.state(), before)
}

// rollbackWentOn has an operation of before end, by its deadline, while the run stands that left it alone.
func rollbackWentOn(s *suite) {
	pending := s.pend(device(1), capf.OperationInstall)
	kept := pending
	kept.Description = "from the old one"
	id := s.run("key", record(device(1), capf.VerdictUpdated, &kept))
	s.clock.Advance(11 * 24 * time.Hour)
	_, err := s.ExpireOperations(s.ctx, s.clock.Now(), 10)
	s.must(err)
	expired := s.phone(device(1))
	done := s.rollBack(id, 0)
	s.equal("counts", done.Counts, capf.RollbackCounts{PhonesRestored: 1})
	expired.Description = pending.Description
	s.equal("phone", s.phone(device(1)), expired)
}

func rollbackStaged(s *suite) {
	id := s.run("first", added(1))
	staged := s.stage("second", added(2))
	s.rollBack(id, 0)
	s.wantCode(s.ApplyRun(s.ctx, staged, capf.MigrationCounts{}), capf.CodeConflict)
	s.equal("phones", len(s.names(capf.PhoneFilter{})), 0)
	s.run("second", added(2))
}
