package storetest

import (
	"fmt"
	"testing"
	"time"

	"capf/runtime/capf"
)

var stagingTests = map[string]func(*suite){
	"a run goes on behind what was staged":              stagingGoesOn,
	"other decisions begin anew":                        stagingAnew,
	"a run that was rolled back under begins anew":      stagingAfterRollback,
	"deadlines count from when a late run is applied":   stagingLate,
	"phones may come after their records":               stagingPhones,
	"new phones come beside few and beside many":        stagingBeside,
	"operations that are staged are nobody's":           stagingHidden,
	"who calls before the run is known to it after":     stagingAttempts,
	"IDs that are set aside are not given to others":    stagingReserved,
	"phones are told by the records of a run":           stagingTaken,
	"more is cleared away than goes into a transaction": stagingClearsMany,
}

// resume begins a run with a basis, which may be one that goes on.
func (s *suite) resume(key, basis string, pending int) int64 {
	s.t.Helper()
	id, err := s.BeginRun(s.ctx, capf.MigrationRun{Key: key, Basis: basis, StartedAt: s.clock.Now(), By: runner,
		Sources: []capf.MigrationSource{{Machine: "pub", Path: "/old/" + basis}}, Counts: capf.MigrationCounts{Pending: pending}})
	s.must(err)
	return id
}

func (s *suite) staged(run int64) capf.StagedRows {
	s.t.Helper()
	rows, err := s.Staged(s.ctx, run)
	s.must(err)
	return rows
}

func stagingGoesOn(s *suite) {
	id := s.resume("key", "basis", 1)
	s.equal("rows of a run that begins", s.staged(id), capf.StagedRows{StartedAt: Start})
	history := record(device(1), capf.VerdictHistory, nil)
	s.must(s.StageRecords(s.ctx, id, []capf.ImportRecord{history.ImportRecord,
		record(device(1), capf.VerdictNew, nil).ImportRecord, record(device(2), capf.VerdictNew, nil).ImportRecord}))
	s.must(s.StageKept(s.ctx, id, []capf.KeptLine{{Machine: "pub", File: "f", Line: 1, Bytes: []byte("x"), SHA256: "x", Reason: "r"}}))
	s.must(s.StageFiles(s.ctx, id, legacyFiles(newIssuer(s.t, "CAPF-1"))))
	s.must(s.StagePhones(s.ctx, id, []capf.StagedPhone{{Record: 2, Verdict: capf.VerdictNew, Phone: *legacyPhone(device(1), capf.EndingNone)}}))

	s.clock.Advance(time.Minute)
	s.equal("run that goes on", s.resume("key", "basis", 1), id)
	s.equal("rows", s.staged(id), capf.StagedRows{Records: 3, KeptLines: 1, Files: 2, Phones: 1, StartedAt: Start})
	s.must(s.StageRecords(s.ctx, id, []capf.ImportRecord{record(device(3), capf.VerdictUnchanged, nil).ImportRecord}))
	s.must(s.StagePhones(s.ctx, id, []capf.StagedPhone{{Record: 3, Verdict: capf.VerdictNew, Phone: *legacyPhone(device(2), capf.EndingSuccess)}}))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{Records: 4}))
	s.equal("phones", s.names(capf.PhoneFilter{}), []string{device(1), device(2)})
	s.equal("string", s.phone(device(1)).AuthString.Reveal(), "0042")
	s.equal("record of the phone", s.provenances()[device(1)].Imported.Verdict, capf.VerdictNew)
	s.equal("deadline", s.phone(device(1)).Last.CompletesBy, Start.AddDate(0, 0, 10))
	run, err := s.Run(s.ctx, id)
	s.must(err)
	s.equal("sources", run.Sources, []capf.MigrationSource{{Machine: "pub", Path: "/old/basis"}})
	_, err = s.Staged(s.ctx, id)
	s.wantCode(err, capf.CodeConflict)
}

func stagingAnew(s *suite) {
	for number, test := range []struct{ key, basis, then, thenBasis string }{
		{"key", "basis", "key", "other"}, {"key", "basis", "other", "basis"}, {"key", "", "key", ""},
	} {
		id := s.resume(test.key, test.basis, 0)
		s.must(Stage(s.ctx, s, id, []Planned{record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone))}))
		next := s.resume(test.then, test.thenBasis, 0)
		if next == id || s.staged(next) != (capf.StagedRows{StartedAt: Start}) {
			s.t.Errorf("%d: run %d goes on after %d with %+v", number, next, id, s.staged(next))
		}
		_, err := s.Staged(s.ctx, id)
		s.wantCode(err, capf.CodeConflict)
		s.wantCode(s.StagePhones(s.ctx, id, []capf.StagedPhone{{Record: 1, Verdict: capf.VerdictNew, Phone: *legacyPhone(device(2), capf.EndingNone)}}), capf.CodeConflict)
	}
}

func stagingAfterRollback(s *suite) {
	first := s.run("first", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingSuccess)))
	id := s.resume("key", "basis", 0)
	_, err := s.RollBackRun(s.ctx, first, actor)
	s.must(err)
	if next := s.resume("key", "basis", 0); next == id {
		s.t.Error("a run goes on that was planned with what is no more")
	}
}

func stagingLate(s *suite) {
	id := s.resume("key", "basis", 1)
	s.must(Stage(s.ctx, s, id, []Planned{record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone))}))
	s.clock.Advance(20 * 24 * time.Hour)
	s.equal("run", s.resume("key", "basis", 1), id)
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	last := s.phone(device(1)).Last
	s.equal("deadline", last.CompletesBy, s.clock.Now().AddDate(0, 0, 10))
	s.equal("status", last.Status(s.clock.Now(), ""), capf.StatusPending)
}

func stagingPhones(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	changes := s.provenances()[device(1)].Changes
	id := s.begin("key")
	s.must(s.StageRecords(s.ctx, id, []capf.ImportRecord{
		record(device(2), capf.VerdictNew, nil).ImportRecord, record(device(1), capf.VerdictUpdated, nil).ImportRecord}))
	s.must(s.StagePhones(s.ctx, id, []capf.StagedPhone{
		{Record: 2, Verdict: capf.VerdictUpdated, Phone: *legacyPhone(device(1), capf.EndingNone), Changes: changes},
		{Record: 1, Verdict: capf.VerdictNew, Phone: *legacyPhone(device(2), capf.EndingSuccess)}}))
	s.wantCode(s.StagePhones(s.ctx, id, []capf.StagedPhone{{Record: 1, Verdict: capf.VerdictNew, Phone: *legacyPhone(device(2), capf.EndingSuccess)}}), capf.CodeConflict)
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	for name, verdict := range map[string]capf.Verdict{device(1): capf.VerdictUpdated, device(2): capf.VerdictNew} {
		imported := s.provenances()[name].Imported
		s.equal("record of "+name, []any{imported.Device, imported.Verdict}, []any{name, verdict})
		s.equal("description of "+name, s.phone(name).Description, "from the old one")
	}
}

// stagingBeside adds phones to a store that has fewer, and to one that has more: that goes two ways.
func stagingBeside(s *suite) {
	known := 0
	for number, added := range []int{3, 5, 2, 20, 1} {
		held := s.names(capf.PhoneFilter{})
		id := s.begin(fmt.Sprint("run ", number))
		var records []Planned
		for range added {
			records = append(records, record(device(known), capf.VerdictNew, legacyPhone(device(known), []capf.Ending{capf.EndingNone, capf.EndingSuccess}[known%2])))
			known++
		}
		s.must(Stage(s.ctx, s, id, records))
		s.equal("phones before", s.names(capf.PhoneFilter{}), held)
		s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
		s.equal("number of phones after", len(s.names(capf.PhoneFilter{})), known)
		s.apply(capf.ApplySet, capf.PhoneChange{Device: device(known - 1), Description: given("mine")})
		s.must(s.RemovePhones(s.ctx, []string{device(known - 1)}, actor))
		s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(known - 1)})
	}
	for n := range known {
		s.equal("operations of "+device(n), len(s.operations(device(n))), 1)
	}
}

func stagingHidden(s *suite) {
	id := s.stage("key", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)),
		record(device(2), capf.VerdictNew, legacyPhone(device(2), capf.EndingSuccess)))
	all, late, err := s.OpenOperations(s.ctx)
	s.must(err)
	expired, err := s.ExpireOperations(s.ctx, Start.AddDate(1, 0, 0), 10)
	s.must(err)
	s.equal("open, late and expired operations", []int{all, late, expired}, []int{0, 0, 0})
	// A person adds the phone, with an operation of its own: the run is in nobody's way.
	s.pend(device(1), capf.OperationTroubleshoot)
	s.equal("operations", len(s.operations(device(1))), 1)
	s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
	s.equal("operations", len(s.operations(device(1))), 1)
	s.begin("another")
	s.equal("operation of the person", s.phone(device(1)).Last.Operation, capf.OperationTroubleshoot)
	s.equal("operations of what was cleared away", len(s.operations(device(2))), 0)
}

func stagingAttempts(s *suite) {
	try := capf.Attempt{Device: device(1), Address: "192.0.2.1", At: Start, Result: capf.ResultTimedOut}
	s.must(s.RecordAttempt(s.ctx, try))
	id := s.stage("key", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingSuccess)))
	s.must(s.RecordAttempt(s.ctx, try))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	s.equal("attempts", len(s.attempts(device(1))), 2)
	s.equal("result", s.phone(device(1)).LastResult, given(capf.ResultSuccess))
	s.must(s.RecordAttempt(s.ctx, try))
	s.equal("result of a later attempt", s.phone(device(1)).LastResult, given(capf.ResultTimedOut))
}

func stagingReserved(s *suite) {
	id := s.resume("key", "basis", 2)
	var records []Planned
	for n := 1; n <= 4; n++ { // more than were set aside
		records = append(records, record(device(n), capf.VerdictNew, legacyPhone(device(n), capf.EndingNone)))
	}
	s.must(Stage(s.ctx, s, id, records[:1]))
	between := s.pend(device(9), capf.OperationInstall)
	s.must(Stage(s.ctx, s, id, records))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	s.equal("operation of before", s.phone(device(9)), between)
	seen := map[int64]bool{}
	for _, name := range s.names(capf.PhoneFilter{}) {
		seen[s.phone(name).Last.Ref.ID] = true
		s.must(s.BeginOperation(s.ctx, name, s.phone(name).Last.Ref, s.info("here")))
	}
	s.equal("different operations", len(seen), 5)
}

func stagingClearsMany(s *suite) {
	if testing.Short() {
		s.t.Skip("stages thousands of phones")
	}
	const count = 2500
	records := make([]Planned, count)
	for n := range records {
		records[n] = record(device(n), capf.VerdictNew, legacyPhone(device(n), []capf.Ending{capf.EndingNone, capf.EndingSuccess}[n%2]))
	}
	id := s.stage("key", records...)
	s.begin("another")
	s.nothingOf(id)
	for n := range count {
		if len(s.operations(device(n))) > 0 {
			s.t.Fatalf("operations of %s are left", device(n))
		}
	}
	s.run("again", records...)
	s.equal("phones", len(s.names(capf.PhoneFilter{})), count)
}
