package storetest

import (
	"time"

	"capf/runtime/capf"
)

const runner = "migrator"

// record gives a record of a phone that comes out as phone; nil for one that is only kept.
func record(device string, verdict capf.Verdict, phone *capf.Phone) Planned {
	raw := []byte(device + ";" + string(verdict) + "\r\n")
	return Planned{Phone: phone, ImportRecord: capf.ImportRecord{Device: device, Machine: "pub", File: "CAPF.phone", Line: 7, Digest: capf.HexSHA256(raw), Raw: raw,
		Time: "2005-01-31 10:00", Verdict: verdict}}
}

// legacyPhone gives a phone as a run plans it: pending by a string, or ended.
func legacyPhone(device string, ending capf.Ending) *capf.Phone {
	phone := capf.NewPhone(device, capf.Parameters{})
	phone.Description = "from the old one"
	phone.Last = &capf.OperationRecord{Device: device, Operation: capf.OperationInstall, AuthMode: capf.AuthByString, KeySize: capf.RSA1024,
		CreatedAt: Start.Add(-time.Hour), CreatedBy: runner, Ending: ending}
	if ending == capf.EndingNone {
		phone.AuthString, _ = capf.ParseAuthenticationString("0042")
		phone.Last.CompletesBy = Start.AddDate(0, 0, 10)
		return &phone
	}
	phone.Last.EndedAt, phone.Last.EndedBy, phone.Last.Result = Start.AddDate(-20, 0, 0), "older CAPF", given(capf.ResultSuccess)
	phone.LastResult = given(capf.ResultSuccess)
	return &phone
}

func (s *suite) begin(key string) int64 {
	s.t.Helper()
	id, err := s.BeginRun(s.ctx, capf.MigrationRun{Key: key, Dialect: "delimited", Prefer: "latest", StartedAt: Start, By: runner,
		Sources: []capf.MigrationSource{{Machine: "pub", Path: "/old/pub", Digest: "d1", Dialect: "delimited"}, {Machine: "sub", Path: "/old/sub", Digest: "d2"}}})
	s.must(err)
	return id
}

// stage begins a run with these records.
func (s *suite) stage(key string, records ...Planned) int64 {
	s.t.Helper()
	id := s.begin(key)
	s.must(Stage(s.ctx, s, id, records))
	return id
}

// run carries a run through.
func (s *suite) run(key string, records ...Planned) int64 {
	s.t.Helper()
	id := s.stage(key, records...)
	s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{Records: len(records)}))
	return id
}

func (s *suite) provenances() map[string]capf.Provenance {
	s.t.Helper()
	all := map[string]capf.Provenance{}
	s.must(s.Provenances(s.ctx, func(device string, provenance capf.Provenance) error {
		all[device] = provenance
		return nil
	}))
	return all
}

func legacyFiles(i *issuer, devices ...string) []capf.LegacyFile {
	anchor := i.read(i.certificate)
	files := []capf.LegacyFile{
		{Machine: "pub", File: "CAPF.cer", SHA256: anchor.SHA256, Subject: anchor.Subject, DER: anchor.DER, Use: capf.LegacyAnchor, Why: "is CAPF.cer"},
		{Machine: "pub", File: "web.0", Line: 3, SHA256: capf.HexSHA256([]byte("web")), Subject: "CN=web", DER: []byte("web"), Use: capf.LegacyStored, Why: "not CAPF's"},
	}
	for _, name := range devices {
		lsc := i.lsc(name, newKey(i.t))
		files = append(files, capf.LegacyFile{Machine: "pub", File: name + ".0", SHA256: lsc.SHA256, Subject: lsc.Subject, DER: lsc.DER, Use: capf.LegacyLSC})
	}
	return files
}
