package migrate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/phonefile"
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
		return nothingToDo(run.applied), nil
	}
	if err := run.decide(ctx); err != nil {
		return nil, err
	}
	report := run.report()
	if conflicts := conflictErrors(report.Conflicts); len(conflicts) > 0 {
		return nil, multierror.Append(several(), conflicts...)
	}
	if report.Run, err = run.stage(ctx, actor); err != nil {
		return nil, err
	}
	if err := store.ApplyRun(ctx, report.Run, report.Counts); err != nil {
		return nil, fmt.Errorf("migration run %d: %w", report.Run, err)
	}
	return report, nil
}

// nothingToDo reports on sources that were taken over already: they were not read again, so all that is known of them
// is what the run before counted.
func nothingToDo(done *capf.MigrationRun) *Report {
	before := done.Counts
	return &Report{Run: done.ID, Already: true, AppliedAt: done.AppliedAt, Counts: capf.MigrationCounts{
		Records: before.Records, Unchanged: before.New + before.Updated + before.Unchanged, KeptAside: before.KeptAside,
	}}
}

// run stages what a planner has decided.
type run struct {
	planner
	staging StagingStore
	id      int64
	done    int
	total   int
}

func (r *run) report() *Report {
	return &Report{
		Counts: r.counts(), Conflicts: r.conflicts(), Pending: r.pending(), Certificates: r.certificateRows(),
		Settings: r.settingRows(), Warnings: r.warnings(), Findings: r.reading.findings(),
	}
}

// stage writes all rows of the run, which nobody sees before it is applied.
func (r *run) stage(ctx context.Context, actor string) (int64, error) {
	var err error
	r.id, err = r.staging.BeginRun(ctx, capf.MigrationRun{
		Key: r.key, Dialect: absolute(r.options.Dialect), Prefer: r.options.Prefer, StartedAt: r.build.now, By: actor,
		Sources: r.reading.rows(),
	})
	if err != nil {
		return 0, err
	}
	for _, m := range r.reading.machines {
		r.total += len(m.records)
	}
	for _, m := range r.reading.machines {
		if err := r.stageMachine(ctx, m); err != nil {
			return 0, fmt.Errorf("migration run %d: %w", r.id, err)
		}
	}
	if err := r.stageRest(ctx); err != nil {
		return 0, fmt.Errorf("migration run %d: %w", r.id, err)
	}
	return r.id, nil
}

// stageMachine stages records and kept lines in the order of the files, a batch at a time.
func (r *run) stageMachine(ctx context.Context, m *machineReading) error {
	records := batches[capf.ImportRecord]{write: func(rows []capf.ImportRecord) error {
		if err := r.staging.StageRecords(ctx, r.id, rows); err != nil {
			return err
		}
		r.done += len(rows)
		r.options.Progress(r.done, r.total)
		return nil
	}}
	kept := batches[capf.KeptLine]{write: func(rows []capf.KeptLine) error { return r.staging.StageKept(ctx, r.id, rows) }}
	err := m.again(func(known *record, from *phonefile.Record) error {
		row, err := r.row(known, from)
		if err != nil {
			return err
		}
		return records.add(row)
	}, func(line legacy.KeptLine) error { return kept.add(keptRow(m.name, line)) })
	if err != nil {
		return err
	}
	for _, line := range r.keptBeside(m) {
		if err := kept.add(keptRow(m.name, line)); err != nil {
			return err
		}
	}
	if err := records.flush(); err != nil {
		return err
	}
	return kept.flush()
}

// row is a record as it is staged, with the phone that it makes, if it makes one.
func (r *run) row(known *record, from *phonefile.Record) (capf.ImportRecord, error) {
	out := capf.ImportRecord{
		Device: known.device, Machine: known.machine, File: known.file, Line: known.line, Digest: known.hexDigest(),
		Raw: from.Bytes, Time: known.time.String(), Verdict: known.verdict,
	}
	if known.verdict != capf.VerdictNew && known.verdict != capf.VerdictUpdated {
		return out, nil
	}
	phone, err := r.build.phone(known)
	if err != nil {
		return out, err
	}
	out.Phone = &phone
	if known.settled != nil {
		out.Changes = known.settled.changes
	}
	return out, nil
}

func (r *run) stageRest(ctx context.Context) error {
	files := make([]capf.LegacyFile, len(r.certificates))
	for i, c := range r.certificates {
		files[i] = c.file()
	}
	for rows := range slices.Chunk(files, batch) {
		if err := r.staging.StageFiles(ctx, r.id, rows); err != nil {
			return err
		}
	}
	values := taken(r.settings)
	if len(values) == 0 {
		return nil
	}
	return r.staging.StageParameters(ctx, r.id, values)
}

// batches gathers rows until there are enough to be written.
type batches[T any] struct {
	rows  []T
	write func([]T) error
}

func (b *batches[T]) add(row T) error {
	b.rows = append(b.rows, row)
	if len(b.rows) < batch {
		return nil
	}
	return b.flush()
}

func (b *batches[T]) flush() error {
	if len(b.rows) == 0 {
		return nil
	}
	err := b.write(b.rows)
	b.rows = b.rows[:0]
	return err
}
