package storetest

import (
	"fmt"

	"capf/runtime/capf"
)

// runDecisions: what was decided about single conflicts and what was missing stands in the run, and only there.
func runDecisions(s *suite) {
	decisions := []capf.MigrationDecision{{Device: device(1), Choose: "east"}, {Device: device(2), Choose: "west capf.phone:3"}}
	missing := []string{`missing: "pub" has no CAPF.phone`, "missing: sub"}
	for n, want := range []capf.MigrationRun{{Decisions: decisions, Missing: missing}, {}, {Missing: missing[:1]}} {
		id, err := s.BeginRun(s.ctx, capf.MigrationRun{Key: fmt.Sprint("key ", n), By: runner, Decisions: want.Decisions, Missing: want.Missing})
		s.must(err)
		s.must(s.ApplyRun(s.ctx, id, capf.MigrationCounts{}))
		run, err := s.Run(s.ctx, id)
		s.must(err)
		s.equal("decisions", run.Decisions, want.Decisions)
		s.equal("missing", run.Missing, want.Missing)
	}
}
