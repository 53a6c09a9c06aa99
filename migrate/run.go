package migrate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/legacy/source"
	"capf/runtime/capf"
)

// Report says what a run did.
type Report struct {
	Run int64 `json:"run"`
	// Already tells that nothing was left to do: the run named did the same before, at AppliedAt.
	Already   bool                 `json:"already"`
	AppliedAt time.Time            `json:"applied-at,omitzero"`
	Counts    capf.MigrationCounts `json:"counts"`
	// KeptSettings is how many of the lines kept aside are settings of a configuration that no parameter was taken from;
	// the others were not understood.
	KeptSettings int `json:"kept-settings"`

	Missing      []Missing            `json:"missing,omitempty"`   // what stops a run was accepted
	Conflicts    []Conflict           `json:"conflicts,omitempty"` // each decided by the choice
	Pending      []PendingCount       `json:"pending,omitempty"`
	Certificates []PlannedCertificate `json:"certificates,omitempty"`
	Settings     []Setting            `json:"settings,omitempty"`
	Warnings     []string             `json:"warnings,omitempty"`
	Findings     []Finding            `json:"findings,omitempty"`
}

// Run takes the sources over, in the name of the actor. All of it becomes visible at once or nothing does. The same
// sources with the same decisions change nothing a second time. A conflict that nobody has decided is an error, one
// with CodeConflict for each, and so is a phone that has changed since the run began; nothing is stored then.
func Run(ctx context.Context, specs []source.Spec, options Options, store RunStore, actor string) (_ *Report, err error) {
	opened, err := openSources(specs, options)
	if err != nil {
		return nil, err
	}
	defer closing(opened, &err)
	run := &run{planner: planner{sources: opened, store: store}, staging: store}
	if err := run.know(ctx); err != nil {
		return nil, err
	}
	if run.applied != nil {
		return run.nothingToDo(ctx)
	}
	if err := run.decide(ctx); err != nil {
		return nil, err
	}
	if run.applied != nil {
		return run.nothingToDo(ctx)
	}
	if missing := run.refusals(); len(missing) > 0 {
		return nil, multierror.Append(several(), append(missing, conflictErrors(run.conflicts())...)...)
	}
	if err := run.askOpen(ctx); err != nil {
		return nil, err
	}
	if run.applied != nil {
		return run.nothingToDo(ctx)
	}
	report := run.report()
	if conflicts := conflictErrors(report.Conflicts); len(conflicts) > 0 {
		return nil, multierror.Append(several(), conflicts...)
	}
	if report.Run, err = run.stage(ctx, actor, report.Counts); err != nil {
		return nil, err
	}
	run.options.Progress(PhaseApplying, 0, 1)
	if err := store.ApplyRun(ctx, report.Run, report.Counts); err != nil {
		return nil, fmt.Errorf("migration run %d: %w", report.Run, err)
	}
	run.options.Progress(PhaseApplying, 1, 1)
	return report, nil
}

// nothingToDo reports on sources that were taken over already: mostly they were not read again, so all that is known of
// them is what the run before counted.
func (p *planner) nothingToDo(ctx context.Context) (*Report, error) {
	done := p.applied
	before := done.Counts
	out := &Report{Run: done.ID, Already: true, AppliedAt: done.AppliedAt, Warnings: p.decidedBefore(), Counts: capf.MigrationCounts{
		Records: before.Records, Unchanged: before.New + before.Updated + before.Unchanged, KeptAside: before.KeptAside,
	}}
	if before.KeptAside == 0 {
		return out, nil
	}
	err := p.store.KeptLines(ctx, done.ID, func(line capf.KeptLine) error {
		if strings.HasPrefix(line.Reason, notTaken) {
			out.KeptSettings++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
