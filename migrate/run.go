package migrate

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// A run decides as a plan does, stages all rows in batches, and has the store make them visible in one step.

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
	run := &planner{sources: opened, store: store}
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
	if refused := append(run.refusals(), conflictErrors(run.conflicts())...); len(refused) > 0 {
		return nil, multierror.Append(several(), refused...)
	}
	counts := run.counts()
	id, err := run.stage(ctx, store, actor, counts)
	if err != nil {
		return nil, err
	}
	run.options.Progress(PhaseApplying, 0, 1)
	if err := store.ApplyRun(ctx, id, counts); err != nil {
		return nil, fmt.Errorf("migration run %d: %w", id, err)
	}
	run.options.Progress(PhaseApplying, 1, 1)
	return run.report(id, counts), nil
}

// report says what a run did. It is made when that is done: of many certificates it is large.
func (p *planner) report(id int64, counts capf.MigrationCounts) *Report {
	out := &Report{
		Run: id, Counts: counts, Missing: p.lacking, Conflicts: p.conflicts(), Pending: p.pending(), Certificates: p.certificateRows(),
		Settings: p.settingRows(), Warnings: p.warnings(), Findings: p.reading.findings(),
	}
	for _, s := range out.Settings {
		if s.Use == SettingNotTaken {
			out.KeptSettings++
		}
	}
	return out
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

// stage writes all rows of a run, which nobody sees before it is applied: records and lines kept aside as the files give
// them when they are read once more, then what becomes of the phones, certificates and parameters.
func (p *planner) stage(ctx context.Context, store StagingStore, actor string, counts capf.MigrationCounts) (int64, error) {
	id, err := store.BeginRun(ctx, capf.MigrationRun{
		Key: p.key, Dialect: absolute(p.options.Dialect), Prefer: p.options.Prefer, StartedAt: p.build.now, By: actor,
		Sources: p.reading.rows(), Counts: counts, Decisions: p.options.Decisions.made(), Missing: p.accepted(),
	})
	if err != nil {
		return 0, err
	}
	s := &staging{planner: p, store: store, id: id, counts: counts}
	for _, step := range []func(context.Context) error{s.lines, s.phones, s.files, s.parameters} {
		if err := step(ctx); err != nil {
			return 0, fmt.Errorf("migration run %d: %w", id, err)
		}
	}
	return id, nil
}

// staging stages what a planner has decided.
type staging struct {
	*planner
	store  StagingStore
	id     int64
	counts capf.MigrationCounts
}

// lines stages records and lines kept aside, in the order of the machines and their files.
func (s *staging) lines(ctx context.Context) error {
	done := 0
	records := batches[capf.ImportRecord]{write: func(rows []capf.ImportRecord) error {
		if err := s.store.StageRecords(ctx, s.id, rows); err != nil {
			return err
		}
		done += len(rows)
		s.options.Progress(PhaseRecords, done, s.counts.Records)
		return nil
	}}
	kept := batches[capf.KeptLine]{write: func(rows []capf.KeptLine) error { return s.store.StageKept(ctx, s.id, rows) }}
	for _, m := range s.reading.machines {
		keep := func(line legacy.KeptLine) error { return kept.add(keptRow(m.name, line)) }
		err := m.readAgain(func(known *record, bytes []byte) error { return records.add(importRow(known, bytes)) }, keep)
		if err != nil {
			return err
		}
		for _, line := range s.keptBeside(m) {
			if err := keep(line); err != nil {
				return err
			}
		}
		if err := cmp.Or(records.flush(), kept.flush()); err != nil {
			return err
		}
	}
	return nil
}

// importRow is a record as it is staged.
func importRow(known *record, bytes []byte) capf.ImportRecord {
	return capf.ImportRecord{
		Device: known.device, Machine: known.machine, File: known.file, Line: known.line, Digest: known.hexDigest(),
		Raw: bytes, Time: known.time.String(), Verdict: known.verdict,
	}
}

// phones stages what becomes of the phones, in their order.
func (s *staging) phones(ctx context.Context) error {
	done := 0
	phones := batches[capf.StagedPhone]{write: func(rows []capf.StagedPhone) error {
		if err := s.store.StagePhones(ctx, s.id, rows); err != nil {
			return err
		}
		done += len(rows)
		s.options.Progress(PhasePhones, done, s.counts.New+s.counts.Updated)
		return nil
	}}
	for from := range s.taken {
		phone, err := s.build.phone(from)
		if err != nil {
			return err
		}
		row := capf.StagedPhone{Record: from.number, Verdict: from.verdict, Phone: phone}
		if from.settled != nil {
			row.Changes = from.settled.changes
		}
		if err := phones.add(row); err != nil {
			return err
		}
	}
	return phones.flush()
}

func (s *staging) files(ctx context.Context) error {
	files := batches[capf.LegacyFile]{write: func(rows []capf.LegacyFile) error { return s.store.StageFiles(ctx, s.id, rows) }}
	for _, c := range s.certificates {
		if err := files.add(c.file()); err != nil {
			return err
		}
	}
	return files.flush()
}

func (s *staging) parameters(ctx context.Context) error {
	values := takenValues(s.settings)
	if len(values) == 0 {
		return nil
	}
	return s.store.StageParameters(ctx, s.id, values)
}

// batches gathers rows until there are enough to be written.
type batches[T any] struct {
	rows  []T
	write func([]T) error
}

func (b *batches[T]) add(row T) error {
	if b.rows = append(b.rows, row); len(b.rows) < batch {
		return nil
	}
	return b.flush()
}

func (b *batches[T]) flush() error {
	rows := b.rows
	if b.rows = nil; len(rows) == 0 {
		return nil
	}
	return b.write(rows)
}
