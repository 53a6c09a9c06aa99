package storetest

import (
	"slices"
	"time"

	"capf/runtime/capf"
)

// What has been changed since a run stays when it is rolled back.

func rollbackPerson(s *suite) {
	s.pend(device(1), capf.OperationInstall)
	id := s.run("key", updated(device(1), capf.EndingNone, "old"), added(2), added(3))
	s.clock.Advance(time.Minute)
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Description: given("mine")}, capf.PhoneChange{Device: device(2), KeySize: given(capf.RSA2048)})
	before := s.state()
	done := s.rollBack(id, 2)
	reason := "was changed here since, at " + capf.FormatTime(s.clock.Now())
	s.equal("kept", done.Kept, []capf.RollbackKept{{Kind: capf.RollbackPhone, Name: device(1), Reason: reason}, {Kind: capf.RollbackPhone, Name: device(2), Reason: reason}})
	s.equal("counts", done.Counts, capf.RollbackCounts{PhonesRemoved: 1, OperationsRemoved: 1})
	before.Phones, before.Operations[3] = before.Phones[:2], nil
	delete(before.Origins, device(3))
	s.equal("state", s.state(), before)
}

func rollbackPhone(s *suite) {
	i := newIssuer(s.t, "CAPF")
	id := s.run("key", added(1), added(2))
	ref := s.phone(device(1)).Last.Ref
	s.must(s.BeginOperation(s.ctx, device(1), ref, s.info("here")))
	issued, err := s.AddIssued(s.ctx, ref, nil, i.lsc(device(1), newKey(s.t)))
	s.must(err)
	s.must(s.EndOperation(s.ctx, device(1), ref, s.success(capf.Outcome{Confirmed: issued, LSC: capf.LSCInstalled})))
	enrolled := s.phone(device(1))
	// Of the other phone the LSC has left, and nobody knows whether it has come.
	_, err = s.AddIssued(s.ctx, s.phone(device(2)).Last.Ref, nil, i.lsc(device(2), newKey(s.t)))
	s.must(err)
	done := s.rollBack(id, 2)
	s.equal("reason", []string{done.Kept[0].Reason, done.Kept[1].Reason}, []string{"an LSC was issued to it since", "an LSC was issued to it since"})
	s.equal("phone", s.phone(device(1)), enrolled)
	s.equal("certificates", len(s.certificates("")), 2)
}

func rollbackCalled(s *suite) {
	s.apply(capf.ApplyAdd, capf.PhoneChange{Device: device(1)})
	id := s.run("key", updated(device(1), capf.EndingNone, "old"), added(2))
	for n := range 2 {
		ref := s.phone(device(n + 1)).Last.Ref
		s.must(s.BeginOperation(s.ctx, device(n+1), ref, s.info("here")))
		s.must(s.ReleaseOperation(s.ctx, ref, "here", capf.ResultCommunication))
	}
	before := s.state()
	done := s.rollBack(id, 2)
	s.equal("reason", done.Kept[0].Reason, "has called since, at "+capf.FormatTime(s.clock.Now()))
	s.equal("state", s.state(), before)

	other := s.run("other", added(3))
	ref := s.phone(device(3)).Last.Ref
	s.must(s.BeginOperation(s.ctx, device(3), ref, s.info("here")))
	s.must(s.EndOperation(s.ctx, device(3), ref, s.success(capf.Outcome{LSC: capf.LSCNone})))
	s.wantKept(s.rollBack(other, 1), capf.RollbackPhone, device(3), "has ended its operation since (install success), at "+capf.FormatTime(s.clock.Now()))
}

func rollbackRemoved(s *suite) {
	s.pend(device(1), capf.OperationInstall)
	plain := record(device(4), capf.VerdictNew, legacyPhone(device(4), capf.EndingSuccess))
	plain.Phone.Last = nil
	id := s.run("key", updated(device(1), capf.EndingNone, "old"), added(2), added(3), plain)
	s.must(s.RemovePhones(s.ctx, []string{device(1), device(2), device(3), device(4)}, actor))
	s.pend(device(3), capf.OperationInstall)
	before := s.state()
	done := s.rollBack(id, 3)
	var reasons []string
	for _, one := range done.Kept {
		reasons = append(reasons, one.Name+" "+one.Reason)
	}
	gone := " was removed here since; it stays removed, with the history of its operations"
	s.equal("kept", reasons, []string{device(1) + gone, device(2) + gone, device(3) + " was removed and added again here since"})
	s.equal("state", s.state(), before)
}

func rollbackCertificates(s *suite) {
	i := newIssuer(s.t, "CAPF-1")
	files := slices.DeleteFunc(legacyFiles(i, device(1), device(2), device(3)), func(f capf.LegacyFile) bool { return f.Use == capf.LegacyAnchor })
	id := s.stage("key", added(1), added(2), added(3))
	s.must(s.StageFiles(s.ctx, id, files))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	held := s.certificates(device(1))[0]
	s.troubleshoot(device(1), capf.Outcome{Seen: []capf.Certificate{held}, LSC: capf.LSCInstalled})
	_, err := s.RevokeLSCs(s.ctx, device(2), "", capf.RevokeKeyCompromise, actor)
	s.must(err)
	done := s.rollBack(id, 3)
	s.equal("kinds", []capf.RollbackKind{done.Kept[0].Kind, done.Kept[1].Kind, done.Kept[2].Kind},
		[]capf.RollbackKind{capf.RollbackPhone, capf.RollbackCertificate, capf.RollbackCertificate})
	s.equal("reasons", []string{done.Kept[1].Reason, done.Kept[2].Reason}, []string{
		"the phone " + device(1) + " has shown it since, at " + capf.FormatTime(s.clock.Now()),
		"of " + device(2) + ", was revoked since (key-compromise), at " + capf.FormatTime(s.clock.Now())})
	s.equal("phones", s.names(capf.PhoneFilter{}), []string{device(1)})
	s.equal("certificates", []int{len(s.certificates(device(1))), len(s.certificates(device(2))), len(s.certificates(device(3)))}, []int{1, 1, 0})
}

func rollbackAnchor(s *suite) {
	hanging, idle := newIssuer(s.t, "CAPF-1"), newIssuer(s.t, "CAPF-2")
	id := s.stage("key", added(1))
	s.must(s.StageFiles(s.ctx, id, legacyFiles(idle, device(1)))) // its LSC goes with it
	s.must(s.StageFiles(s.ctx, id, legacyFiles(hanging)))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	held := hanging.lsc(device(2), newKey(s.t))
	held.Kind = capf.LSC
	s.troubleshoot(device(2), capf.Outcome{Seen: []capf.Certificate{held}, LSC: capf.LSCInstalled})
	anchor := hanging.read(hanging.certificate)
	want := capf.RollbackKept{Kind: capf.RollbackAnchor, Name: anchor.Serial, Reason: "CN=CAPF-1: LSCs hang on it, of phones: 1"}
	tried, err := s.TryRollBack(s.ctx, id, "undoer")
	s.must(err)
	s.equal("what would be kept", tried.Kept, []capf.RollbackKept{want})
	done := s.rollBack(id, 1)
	s.equal("kept", done.Kept, []capf.RollbackKept{want})
	anchors, err := s.Anchors(s.ctx, "")
	s.must(err)
	s.equal("anchors", []any{len(anchors), anchors[0].SHA256}, []any{1, anchor.SHA256})
}

func rollbackParameters(s *suite) {
	id := s.begin("key")
	s.must(s.StageParameters(s.ctx, id, map[string]string{capf.ParamKeySize: "2048", capf.ParamValidity: "3"}))
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	size, validity := capf.TakenParameter{Name: capf.ParamKeySize, Value: "2048", Now: "2048"}, capf.TakenParameter{Name: capf.ParamValidity, Value: "3", Now: "3"}
	taken := func(want ...capf.TakenParameter) {
		got, err := s.TakenParameters(s.ctx, id)
		s.must(err)
		s.equal("taken", got, want)
	}
	taken(validity, size)
	s.must(s.SetParameter(s.ctx, capf.ParamKeySize, "2048", runner)) // in the second of the run, by who made it
	size.ChangedBy, size.ChangedAt = runner, s.clock.Now()
	taken(validity, size)
	s.clock.Advance(time.Minute)
	s.must(s.SetParameter(s.ctx, capf.ParamValidity, "3", actor)) // somebody wants it so now
	validity.ChangedBy, validity.ChangedAt = actor, s.clock.Now()
	taken(validity, size)
	s.wantKept(s.rollBack(id, 1), capf.RollbackParameter, capf.ParamValidity, "was set here since by "+actor+", at "+capf.FormatTime(s.clock.Now()))
	values, err := s.Parameters(s.ctx)
	s.must(err)
	s.equal("parameters", values, capf.Parameters{capf.ParamValidity: "3"})
}

func rollbackKnown(s *suite) {
	older := record(device(1), capf.VerdictHistory, nil)
	id := s.run("first", added(1), older, added(2))
	s.apply(capf.ApplySet, capf.PhoneChange{Device: device(1), Description: given("mine")})
	s.rollBack(id, 1)
	for _, test := range []struct {
		record Planned
		want   bool
	}{{added(1), true}, {older, true}, {added(2), false}} {
		has := s.hasRecord(test.record.Device, test.record.Digest)
		s.equal("record of "+test.record.Device, has, test.want)
	}
}

func rollbackTakenAgain(s *suite) {
	first := s.run("first", added(1))
	second := s.run("second", updated(device(1), capf.EndingNone, "second"))
	ref := s.phone(device(1)).Last.Ref
	s.must(s.BeginOperation(s.ctx, device(1), ref, s.info("here")))
	s.must(s.ReleaseOperation(s.ctx, ref, "here", capf.ResultCommunication))
	s.rollBack(second, 1)
	s.wantKept(s.rollBack(first, 1), capf.RollbackPhone, device(1), "run 2 took it over since and kept it")
	s.equal("description", s.phone(device(1)).Description, "second")
}
