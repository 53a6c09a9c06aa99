package storetest

import (
	"fmt"
	"testing"
	"time"

	"capf/runtime/capf"
)

var stagingTests = map[string]func(*suite){
	"a run that is begun again begins anew":             stagingAnew,
	"a run may be applied long after it was staged":     stagingLate,
	"phones may come after their records":               stagingPhones,
	"new phones come beside few and beside many":        stagingBeside,
	"operations that are staged are nobody's":           stagingHidden,
	"a word that the store does not know is refused":    stagingWords,
	"who calls before the run is known to it after":     stagingAttempts,
	"a person may set operations between the batches":   stagingBetween,
	"phones are told by the records of a run":           stagingTaken,
	"more is cleared away than goes into a transaction": stagingClearsMany,
}

// stagingAnew begins a run while one with the same key, or another, is staged in part: nothing of that is left.
func stagingAnew(s *suite) {
	for number, then := range []string{"key", "another"} {
		id := s.begin([]string{"key", "other"}[number])
		s.must(Stage(s.ctx, s, id, []Planned{record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone))}))
		s.must(s.StageKept(s.ctx, id, []capf.KeptLine{{Machine: "pub", File: "f", Line: 1, Bytes: []byte("x"), SHA256: "x", Reason: "r"}}))
		s.must(s.StageFiles(s.ctx, id, legacyFiles(newIssuer(s.t, "CAPF-1"))))
		s.must(s.StageParameters(s.ctx, id, map[string]string{capf.ParamValidity: "3"}))
		next := s.begin(then)
		staged := []capf.StagedPhone{{Record: 1, Verdict: capf.VerdictNew, Phone: *legacyPhone(device(2), capf.EndingNone)}}
		s.wantCode(s.StagePhones(s.ctx, id, staged), capf.CodeConflict)
		s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
		name := device(10 + number)
		s.must(Stage(s.ctx, s, next, []Planned{record(name, capf.VerdictNew, legacyPhone(name, capf.EndingNone))}))
		s.must(s.ApplyRun(s.ctx, next, capf.MigrationCounts{}))
		s.equal("phones", s.names(capf.PhoneFilter{}), []string{name})
		s.equal("records", len(collect(s, func(yield func(capf.ImportRecord) error) error { return s.ImportRecords(s.ctx, next, yield) })), 1)
		s.equal("kept lines", len(collect(s, func(yield func(capf.KeptLine) error) error { return s.KeptLines(s.ctx, next, yield) })), 0)
		s.equal("files", len(collect(s, func(yield func(capf.LegacyFile) error) error { return s.LegacyFiles(s.ctx, next, yield) })), 0)
		anchors, err := s.Anchors(s.ctx, "")
		s.must(err)
		parameters, err := s.Parameters(s.ctx)
		s.must(err)
		s.equal("anchors and parameters", len(anchors)+len(parameters), 0)
		s.must(s.RemovePhones(s.ctx, []string{name}, actor))
	}
}

// stagingLate applies a run whose operation is late by then: it is the phone's, and expired.
func stagingLate(s *suite) {
	id := s.stage("key", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)))
	s.clock.Advance(20 * 24 * time.Hour)
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	last := s.phone(device(1)).Last
	s.equal("deadline", last.CompletesBy, Start.AddDate(0, 0, 10))
	s.equal("status", last.Status(s.clock.Now(), ""), capf.StatusExpired)
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

// stagingBeside adds phones to a store that has fewer, and to one that has more.
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

// stagingWords has each column of a run in turn say what is no word of it: the run is refused, there or in the end.
func stagingWords(s *suite) {
	for what, spoil := range map[string]func(*Planned){
		"verdict":                   func(p *Planned) { p.Verdict = "new?" },
		"authentication mode":       func(p *Planned) { p.Phone.AuthMode = "Null-String" },
		"key size":                  func(p *Planned) { p.Phone.KeySize = "1025" },
		"no key size":               func(p *Planned) { p.Phone.KeySize = "" },
		"security mode":             func(p *Planned) { p.Phone.SecurityMode = "open" },
		"LSC":                       func(p *Planned) { p.Phone.LSCKnown = capf.LSCExpired },
		"MIC":                       func(p *Planned) { p.Phone.MIC = "perhaps" },
		"operation":                 func(p *Planned) { p.Phone.Last.Operation = capf.OperationNone },
		"mode of the operation":     func(p *Planned) { p.Phone.Last.AuthMode = "" },
		"key size of the operation": func(p *Planned) { p.Phone.Last.KeySize = "P256" },
		"ending":                    func(p *Planned) { p.Phone.Last.Ending = "gone" },
		"pending and ended":         func(p *Planned) { p.Phone.Last.Ending, p.Phone.Last.EndedAt = capf.EndingNone, Start },
		"an operation of nobody":    func(p *Planned) { p.Phone.Last.Ref.ID = 4711 },
	} {
		good, bad := record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)), record(device(2), capf.VerdictNew, legacyPhone(device(2), capf.EndingNone))
		spoil(&bad)
		id := s.begin("key")
		err := Stage(s.ctx, s, id, []Planned{good, bad})
		if err == nil {
			err = s.ApplyRun(s.ctx, id, capf.MigrationCounts{})
		}
		if !capf.HasCode(err, capf.CodeConflict) {
			s.t.Errorf("%s: %v", what, err)
		}
		s.nothingOf(id)
	}
}

func stagingBetween(s *suite) {
	id := s.begin("key")
	var records []Planned
	for n := 1; n <= 4; n++ {
		records = append(records, record(device(n), capf.VerdictNew, legacyPhone(device(n), capf.EndingNone)))
	}
	s.must(Stage(s.ctx, s, id, records[:2]))
	between := s.pend(device(9), capf.OperationInstall)
	s.must(s.StageRecords(s.ctx, id, []capf.ImportRecord{records[2].ImportRecord, records[3].ImportRecord}))
	s.must(s.StagePhones(s.ctx, id, []capf.StagedPhone{{Record: 3, Verdict: capf.VerdictNew, Phone: *records[2].Phone},
		{Record: 4, Verdict: capf.VerdictNew, Phone: *records[3].Phone}}))
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
