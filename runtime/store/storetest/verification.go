package storetest

import (
	"fmt"
	"time"

	"capf/runtime/capf"
)

// runVerified: a later verification of a run replaces the one before, of other runs none; a run that does not stand
// takes none, and what runs change afterwards is counted.
func runVerified(s *suite) {
	for n := range 2 {
		id, err := s.BeginRun(s.ctx, capf.MigrationRun{Key: fmt.Sprint("key ", n), By: runner})
		s.must(err)
		s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
	}
	runs, err := s.Runs(s.ctx)
	s.must(err)
	s.equal("changes", capf.RunChanges(runs), 2)
	s.equal("verified", runs[0].Verified, (*capf.MigrationVerification)(nil))
	first := capf.MigrationVerification{Run: runs[0].ID, By: "first", Changes: 2, Records: 3, Phones: 4, Certificates: 5, KeptAside: 6,
		Differences: 7, Since: 8, OtherSources: 9}
	second := capf.MigrationVerification{Run: runs[0].ID, By: "second", Changes: 2, Records: 3}
	for _, want := range []capf.MigrationVerification{first, second} {
		s.clock.Advance(time.Minute)
		s.must(s.RecordVerification(s.ctx, want))
		want.At = s.clock.Now()
		run, err := s.Run(s.ctx, want.Run)
		s.must(err)
		s.equal("verified", *run.Verified, want)
	}
	trail, err := s.Audit(s.ctx, 1)
	s.must(err)
	s.equal("audit", trail[0].Actor+" "+trail[0].Action+" "+trail[0].Subject, fmt.Sprint("second migrate verify run ", runs[0].ID))

	_, err = s.RollBackRun(s.ctx, runs[1].ID, runner)
	s.must(err)
	runs, err = s.Runs(s.ctx)
	s.must(err)
	s.equal("changes", capf.RunChanges(runs), 3)
	s.equal("verified", runs[1].Verified, (*capf.MigrationVerification)(nil))
	second.Run = runs[1].ID
	s.wantCode(s.RecordVerification(s.ctx, second), capf.CodeNotFound)
	second.Run = 99
	s.wantCode(s.RecordVerification(s.ctx, second), capf.CodeNotFound)
}
