package storetest

import (
	"strconv"
	"time"

	"capf/runtime/capf"
)

var migrationTests = map[string]func(*suite){
	"all of a run becomes visible":                  runApplied,
	"nothing of an unfinished run is":               runUnfinished,
	"a key is applied once":                         runOnce,
	"decisions stand in the run":                    runDecisions,
	"a verification is kept with its run":           runVerified,
	"a phone that changed meanwhile stops it":       runChangedPhone,
	"a phone that was added meanwhile stops it":     runAddedPhone,
	"a phone that was planned with an older state":  runStaleProvenance,
	"an updated phone keeps what was seen of it":    runUpdates,
	"an operation of ours goes on where it is kept": runKeepsOperation,
	"set parameters stay":                           runParameters,
	"a run that was cleared away cannot go on":      runCleared,
	"a device comes from one record":                runTwice,
	"certificates that cannot serve are refused":    runBadFiles,
	"a legacy LSC that is returned is confirmed":    runLegacyReturned,
	"an anchor's key is nobody else's":              runAnchorKey,
	"provenance follows imports and changes":        runProvenance,
	"more records than a page":                      runMany,
}

func runApplied(s *suite) {
	i := newIssuer(s.t, "CAPF-0badcafe")
	files := legacyFiles(i, device(2))
	kept := []capf.KeptLine{{Machine: "sub", File: "CAPF.phone", Line: 9, Bytes: []byte("torn\x1a"), SHA256: "x", Reason: "torn"},
		{Machine: "sub", File: "key.0", Line: 1, SHA256: "y", Reason: "private key"}}
	records := []Planned{record(device(2), capf.VerdictNew, legacyPhone(device(2), capf.EndingSuccess)),
		record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)), record(device(1), capf.VerdictHistory, nil)}
	id := s.stage("key", records...)
	s.must(s.StageKept(s.ctx, id, kept))
	s.must(s.StageFiles(s.ctx, id, files))
	counts := capf.MigrationCounts{Records: 3, New: 2, History: 1, KeptAside: 2, Anchors: 1, Stored: 1, LSCs: 1, Pending: 1}
	s.clock.Advance(time.Minute)
	s.must(s.ApplyRun(s.ctx, id, counts))

	run, err := s.Run(s.ctx, id)
	s.must(err)
	s.equal("run", run, capf.MigrationRun{ID: id, Key: "key", Dialect: "delimited", Prefer: "latest", StartedAt: Start, AppliedAt: s.clock.Now(), By: runner,
		Sources: []capf.MigrationSource{{Machine: "pub", Path: "/old/pub", Digest: "d1", Dialect: "delimited"}, {Machine: "sub", Path: "/old/sub", Digest: "d2"}},
		Counts:  counts})
	for _, staged := range records[:2] {
		want := *staged.Phone
		got := s.phone(want.Device)
		last := *want.Last
		last.Ref = got.Last.Ref
		want.Last = &last
		s.equal("phone", got, want)
		s.equal("history", s.operations(want.Device), []capf.OperationRecord{last})
	}
	var staged []capf.ImportRecord
	for _, one := range records {
		staged = append(staged, one.ImportRecord)
	}
	s.equal("records", collect(s, func(yield func(capf.ImportRecord) error) error { return s.ImportRecords(s.ctx, id, yield) }), staged)
	s.equal("kept lines", collect(s, func(yield func(capf.KeptLine) error) error { return s.KeptLines(s.ctx, id, yield) }), kept)
	s.equal("files", collect(s, func(yield func(capf.LegacyFile) error) error { return s.LegacyFiles(s.ctx, id, yield) }), files)
	s.checkLegacyCertificates(i, files[2])
	trail, err := s.Audit(s.ctx, 1)
	s.must(err)
	s.equal("audit entry", trail[0].Actor+" "+trail[0].Action, runner+" migrate run")
}

// checkLegacyCertificates looks for the anchor and for the LSC of a phone.
func (s *suite) checkLegacyCertificates(i *issuer, lsc capf.LegacyFile) {
	s.t.Helper()
	anchors, err := s.Anchors(s.ctx, capf.LSC)
	s.must(err)
	if len(anchors) != 1 || anchors[0].SHA256 != capf.HexSHA256(i.certificate.Raw) || anchors[0].Kind != capf.LSC || anchors[0].Origin == "" ||
		!anchors[0].AddedAt.Equal(s.clock.Now()) || !anchors[0].NotAfter.Equal(i.certificate.NotAfter) {
		s.t.Fatalf("anchors %v", anchors)
	}
	none, err := s.Anchors(s.ctx, capf.MIC)
	s.must(err)
	s.equal("anchors for MICs", len(none), 0)
	certificate := s.certificates(device(2))[0]
	s.equal("legacy LSC", []any{certificate.SHA256, certificate.Kind, certificate.State, certificate.Source, certificate.RecordedAt},
		[]any{lsc.SHA256, capf.LSC, capf.CertificateIssued, capf.SourceLegacy, s.clock.Now()})
	phone := s.phone(device(2))
	s.equal("LSC status", phone.LSCStatus(s.clock.Now()), capf.LSCUnknown)
}

// runUnfinished looks everywhere while a run is staged, and after the next one has cleared it away.
func runUnfinished(s *suite) {
	id := s.stage("key", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)))
	s.must(s.StageKept(s.ctx, id, []capf.KeptLine{{Machine: "pub", File: "f", Line: 1, Bytes: []byte("x"), SHA256: "x", Reason: "r"}}))
	s.must(s.StageFiles(s.ctx, id, legacyFiles(newIssuer(s.t, "CAPF-1"), device(1))))
	s.must(s.StageParameters(s.ctx, id, map[string]string{capf.ParamKeySize: "2048"}))
	s.nothingOf(id)
	s.begin("another")
	s.nothingOf(id)
	s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
}

func (s *suite) nothingOf(run int64) {
	s.t.Helper()
	_, err := s.Run(s.ctx, run)
	s.wantCode(err, capf.CodeNotFound)
	runs, err := s.Runs(s.ctx)
	s.must(err)
	applied, err := s.AppliedRun(s.ctx, "key")
	s.must(err)
	anchors, err := s.Anchors(s.ctx, "")
	s.must(err)
	parameters, err := s.Parameters(s.ctx)
	s.must(err)
	has := s.hasRecord(device(1), record(device(1), capf.VerdictNew, nil).Digest)
	trail, err := s.Audit(s.ctx, 0)
	s.must(err)
	seen := len(runs) + len(anchors) + len(parameters) + len(trail) + len(s.names(capf.PhoneFilter{})) + len(s.operations(device(1))) +
		len(s.certificates("")) + len(s.provenances()) +
		len(collect(s, func(yield func(capf.ImportRecord) error) error { return s.ImportRecords(s.ctx, run, yield) })) +
		len(collect(s, func(yield func(capf.KeptLine) error) error { return s.KeptLines(s.ctx, run, yield) })) +
		len(collect(s, func(yield func(capf.LegacyFile) error) error { return s.LegacyFiles(s.ctx, run, yield) }))
	if seen != 0 || applied != nil || has {
		s.t.Fatalf("%d things of an unfinished run can be seen, run %v, record %t", seen, applied, has)
	}
}

// hasRecord tells whether an applied run has read that record of the device.
func (s *suite) hasRecord(device, digest string) (has bool) {
	s.t.Helper()
	s.must(s.KnownRecords(s.ctx, func(known, of string) error {
		has = has || known == device && of == digest
		return nil
	}))
	return has
}

func runOnce(s *suite) {
	first := record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone))
	id := s.run("key", first)
	_, err := s.BeginRun(s.ctx, capf.MigrationRun{Key: "key", By: runner})
	s.wantCode(err, capf.CodeConflict)
	applied, err := s.AppliedRun(s.ctx, "key")
	s.must(err)
	s.equal("applied run", applied.ID, id)
	other, err := s.AppliedRun(s.ctx, "other")
	s.must(err)
	if other != nil {
		s.t.Errorf("a key that was never applied has run %d", other.ID)
	}
	for digest, want := range map[string]bool{first.Digest: true, capf.HexSHA256(nil): false} {
		s.equal("has record "+digest, s.hasRecord(device(1), digest), want)
	}
	s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
	s.wantCode(s.StageRecords(s.ctx, id, []capf.ImportRecord{first.ImportRecord}), capf.CodeConflict)
}

func runChangedPhone(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	id := s.stage("key", record(device(1), capf.VerdictUpdated, legacyPhone(device(1), capf.EndingNone)),
		record(device(2), capf.VerdictNew, legacyPhone(device(2), capf.EndingNone)))
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Description: given("mine")})
	s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
	s.equal("phones", s.names(capf.PhoneFilter{}), []string{device(1)})
	s.equal("description", s.phone(device(1)).Description, "mine")
}

func runAddedPhone(s *suite) {
	id := s.stage("key", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)))
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1), Description: given("mine")})
	s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
	s.equal("description", s.phone(device(1)).Description, "mine")
}

// runStaleProvenance changes the phone after it was planned with and before it is staged.
func runStaleProvenance(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	planned := record(device(1), capf.VerdictUpdated, legacyPhone(device(1), capf.EndingNone))
	planned.Changes = s.provenances()[device(1)].Changes
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Description: given("mine")})
	id := s.stage("key", planned)
	s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
	planned.Changes = s.provenances()[device(1)].Changes
	s.run("key", planned)
	s.equal("description", s.phone(device(1)).Description, "from the old one")

	planned.Changes = s.provenances()[device(1)].Changes
	s.must(s.RemovePhones(s.ctx, []string{device(1)}, actor))
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	id = s.stage("again", planned)
	s.wantCode(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}), capf.CodeConflict)
}

func runUpdates(s *suite) {
	held := s.enrol(newIssuer(s.t, "CAPF"), device(1))
	pending := s.pend(device(1), capf.OperationTroubleshoot)
	before := s.phone(device(1))
	s.run("key", record(device(1), capf.VerdictUpdated, legacyPhone(device(1), capf.EndingNone)))
	phone := s.phone(device(1))
	s.equal("LSC", phone.LSC, &held)
	s.equal("LSC status", phone.LSCStatus(s.clock.Now()), capf.LSCInstalled)
	s.equal("last session", phone.LastSession, before.LastSession)
	s.equal("string", phone.AuthString.Reveal(), "0042")
	history := s.operations(device(1))
	s.equal("operations", len(history), 3)
	s.equal("what was pending", history[1].Ending, capf.EndingReplaced)
	s.wantCode(s.BeginOperation(s.ctx, device(1), pending.Last.Ref, s.info("here")), capf.CodeSuperseded)
	s.must(s.BeginOperation(s.ctx, device(1), phone.Last.Ref, s.info("here")))
}

func runKeepsOperation(s *suite) {
	pending := s.pend(device(1), capf.OperationInstall)
	kept := pending
	kept.Description = "from the old one"
	s.pend(device(2), capf.OperationInstall)
	ended := legacyPhone(device(2), capf.EndingNone)
	ended.Last, ended.AuthString = nil, capf.AuthenticationString{}
	s.run("key", record(device(1), capf.VerdictUpdated, &kept), record(device(2), capf.VerdictUpdated, ended))
	s.equal("phone", s.phone(device(1)), kept)
	s.equal("history", s.operations(device(1)), []capf.OperationRecord{*pending.Last})
	s.equal("operation that is not kept", s.operations(device(2))[0].Ending, capf.EndingWithdrawn)
	if phone := s.phone(device(2)); !phone.AuthString.IsZero() || phone.Last != nil {
		s.t.Errorf("the string or the operation went on: %v", phone.Last)
	}
}

func runParameters(s *suite) {
	s.must(s.SetParameter(s.ctx, capf.ParamKeySize, "512", actor))
	id := s.begin("key")
	s.must(s.StageParameters(s.ctx, id, map[string]string{capf.ParamKeySize: "2048", capf.ParamValidity: "3"}))
	s.wantCode(s.StageParameters(s.ctx, id, map[string]string{capf.ParamValidity: "99"}), capf.CodeInvalid)
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	values, err := s.Parameters(s.ctx)
	s.must(err)
	s.equal("parameters", values, capf.Parameters{capf.ParamKeySize: "512", capf.ParamValidity: "3"})
}

func runCleared(s *suite) {
	id := s.begin("key")
	next := s.stage("next", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)))
	s.wantCode(s.StageRecords(s.ctx, id, []capf.ImportRecord{record(device(2), capf.VerdictHistory, nil).ImportRecord}), capf.CodeConflict)
	s.wantCode(s.StageParameters(s.ctx, id, nil), capf.CodeConflict)
	s.must(s.ApplyRun(s.ctx, next, capf.MigrationCounts{}))
	s.equal("phones", s.names(capf.PhoneFilter{}), []string{device(1)})
}

func runTwice(s *suite) {
	id := s.begin("key")
	err := Stage(s.ctx, s, id, []Planned{record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone)),
		record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingNone))})
	s.wantCode(err, capf.CodeConflict)
}

func runBadFiles(s *suite) {
	id := s.begin("key")
	for _, use := range []capf.LegacyUse{capf.LegacyAnchor, capf.LegacyLSC} {
		err := s.StageFiles(s.ctx, id, []capf.LegacyFile{{Machine: "pub", File: "x.0", DER: []byte("no certificate"), Use: use}})
		s.wantCode(err, capf.CodeInvalid)
	}
	i := newIssuer(s.t, "../../etc/passwd")
	err := s.StageFiles(s.ctx, id, []capf.LegacyFile{{Machine: "pub", File: "x.0", DER: i.certificate.Raw, Use: capf.LegacyLSC}})
	s.wantCode(err, capf.CodeInvalid)
}

func runLegacyReturned(s *suite) {
	i := newIssuer(s.t, "CAPF-1")
	files := legacyFiles(i, device(1))
	id := s.stage("key", record(device(1), capf.VerdictNew, legacyPhone(device(1), capf.EndingSuccess)))
	s.must(s.StageFiles(s.ctx, id, files))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	held := s.certificates(device(1))[0]
	s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{held}, LSC: capf.LSCInstalled})
	s.equal("states", s.states(device(1)), []string{"confirmed"})
	s.enrol(i, device(1))
	s.equal("states", s.states(device(1)), []string{"revoked superseded", "confirmed"})
}

func runAnchorKey(s *suite) {
	i := newIssuer(s.t, "CAPF-1")
	id := s.begin("key")
	s.must(s.StageFiles(s.ctx, id, legacyFiles(i)))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	theft := i.lsc(device(1), i.key)
	owner, found, err := s.PublicKeyOwner(s.ctx, theft.KeySHA256)
	s.must(err)
	s.equal("owner", []any{owner, found}, []any{"", true})
	_, err = s.AddIssued(s.ctx, s.pend(device(1), capf.OperationInstall).Last.Ref, nil, theft)
	s.wantCode(err, capf.CodeRefused)
}

func runProvenance(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	source := record(device(2), capf.VerdictNew, legacyPhone(device(2), capf.EndingNone))
	s.run("key", source)
	source.Raw = nil
	before := s.provenances()
	s.equal("added here", []any{before[device(1)].Imported, before[device(1)].ChangedAt}, []any{(*capf.ImportRecord)(nil), Start})
	s.equal("imported", before[device(2)].Imported, &source.ImportRecord)
	s.equal("changed since", before[device(2)].ChangedAt, time.Time{})

	s.clock.Advance(time.Hour)
	s.must(s.BeginOperation(s.ctx, device(2), s.phone(device(2)).Last.Ref, s.info("here")))
	s.equal("changes by a session that only began", s.provenances()[device(2)], before[device(2)])
	s.must(s.EndOperation(s.ctx, device(2), s.phone(device(2)).Last.Ref, s.success(capf.Outcome{})))
	after := s.provenances()[device(2)]
	s.equal("changed by the phone", after.ChangedAt, s.clock.Now())
	if after.Changes <= before[device(2)].Changes || before[device(2)].Changes == 0 {
		s.t.Errorf("the count of changes went from %d to %d", before[device(2)].Changes, after.Changes)
	}
}

func runMany(s *suite) {
	const count = 1200
	var records []Planned
	for n := range count {
		one := record(device(n), capf.VerdictNew, legacyPhone(device(n), []capf.Ending{capf.EndingNone, capf.EndingSuccess, capf.EndingFailed}[n%3]))
		one.Line = n
		if n%5 == 0 {
			one.Phone.Last, one.Phone.AuthString = nil, capf.AuthenticationString{}
		}
		one.Phone.Description = strconv.Itoa(n)
		records = append(records, one)
	}
	id := s.run("key", records...)
	n := 0
	s.must(s.ImportRecords(s.ctx, id, func(got capf.ImportRecord) error {
		s.equal("record", got, records[n].ImportRecord)
		n++
		return nil
	}))
	s.equal("records", n, count)
	n = 0
	s.must(s.Phones(s.ctx, capf.PhoneFilter{}, func(phone capf.Phone) error {
		want := *records[n].Phone
		if want.Last != nil {
			last := *want.Last
			last.Ref = phone.Last.Ref
			want.Last = &last
		}
		s.equal("phone", phone, want)
		n++
		return nil
	}))
	s.equal("phones", n, count)
	s.equal("provenances", len(s.provenances()), count)
	s.equal("phones taken", len(s.taken(id)), count)
}
