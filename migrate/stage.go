package migrate

import (
	"cmp"
	"context"
	"fmt"

	"capf/legacy"
	"capf/runtime/capf"
)

// run stages what a planner has decided. Everything is staged in an order that hangs on nothing but sources and
// decisions, so that a run which was broken off goes on behind what it has staged.
type run struct {
	planner
	staging StagingStore
	id      int64
	before  capf.StagedRows // by a run that was broken off
	records int             // in all
	taken   []*record       // those that phones are taken from, in the order of the phones
}

func (r *run) report() *Report {
	out := &Report{
		Missing: r.lacking, Counts: r.counts(), Conflicts: r.conflicts(), Pending: r.pending(), Certificates: r.certificateRows(),
		Settings: r.settingRows(), Warnings: r.warnings(), Findings: r.reading.findings(),
	}
	for _, s := range out.Settings {
		if s.Use == SettingNotTaken {
			out.KeptSettings++
		}
	}
	return out
}

// stage writes all rows of the run, which nobody sees before it is applied.
func (r *run) stage(ctx context.Context, actor string, counts capf.MigrationCounts) (int64, error) {
	var err error
	r.records = counts.Records
	basis := r.basis()
	r.taken = make([]*record, 0, counts.New+counts.Updated)
	r.eachTaken(func(one *record) { r.taken = append(r.taken, one) })
	// Nobody asks any more how it came to that, and of many phones that is much.
	r.groups, r.outcomes = nil, nil
	r.id, err = r.staging.BeginRun(ctx, capf.MigrationRun{
		Key: r.key, Basis: basis, Dialect: absolute(r.options.Dialect), Prefer: r.options.Prefer, StartedAt: r.build.now, By: actor,
		Sources: r.reading.rows(), Counts: counts, Decisions: r.options.Decisions.made(), Missing: r.accepted(),
	})
	if err != nil {
		return 0, err
	}
	if r.before, err = r.staging.Staged(ctx, r.id); err != nil {
		return 0, err
	}
	if r.before.Phones > 0 {
		r.build.now = r.before.StartedAt // as in those that are there
	}
	for _, step := range []func(context.Context) error{r.stageLines, r.stagePhones, r.stageFiles, r.stageParameters} {
		if err := step(ctx); err != nil {
			return 0, fmt.Errorf("migration run %d: %w", r.id, err)
		}
	}
	return r.id, nil
}

// stageLines stages records and lines kept aside, in the order of the machines and their files.
func (r *run) stageLines(ctx context.Context) (err error) {
	if r.before.Records == r.records && r.before.KeptLines == r.keptCount() {
		return nil
	}
	work := newBehind()
	defer work.end(&err)
	done := r.before.Records
	records := newBatches(work, r.before.Records, func(rows []capf.ImportRecord) error {
		if err := r.staging.StageRecords(ctx, r.id, rows); err != nil {
			return err
		}
		done += len(rows)
		r.options.Progress(PhaseRecords, done, r.records)
		return nil
	})
	kept := newBatches(work, r.before.KeptLines, func(rows []capf.KeptLine) error { return r.staging.StageKept(ctx, r.id, rows) })
	for _, m := range r.reading.machines {
		if err := r.stageMachine(m, records, kept); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) stageMachine(m *machineReading, records *batches[capf.ImportRecord], kept *batches[capf.KeptLine]) error {
	err := m.again(func(known *record, bytes []byte) error {
		return records.add(func() capf.ImportRecord { return importRow(known, bytes) })
	}, func(line legacy.KeptLine) error {
		return kept.add(func() capf.KeptLine { return keptRow(m.name, line) })
	})
	if err != nil {
		return err
	}
	for _, line := range r.keptBeside(m) {
		if err := kept.add(func() capf.KeptLine { return keptRow(m.name, line) }); err != nil {
			return err
		}
	}
	if err := records.flush(); err != nil {
		return err
	}
	return kept.flush()
}

// importRow is a record as it is staged.
func importRow(known *record, bytes []byte) capf.ImportRecord {
	return capf.ImportRecord{
		Device: known.device, Machine: known.machine, File: known.file, Line: known.line, Digest: known.hexDigest(),
		Raw: bytes, Time: known.time.String(), Verdict: known.verdict,
	}
}

// stagePhones stages what becomes of the phones, in their order.
func (r *run) stagePhones(ctx context.Context) (err error) {
	work := newBehind()
	defer work.end(&err)
	done := r.before.Phones
	phones := newBatches(work, r.before.Phones, func(rows []capf.StagedPhone) error {
		if err := r.staging.StagePhones(ctx, r.id, rows); err != nil {
			return err
		}
		done += len(rows)
		r.options.Progress(PhasePhones, done, len(r.taken))
		return nil
	})
	for _, one := range r.taken {
		failed := phones.add(func() (row capf.StagedPhone) {
			row, err = r.stagedPhone(one)
			return row
		})
		if err = cmp.Or(err, failed); err != nil {
			return err
		}
	}
	return phones.flush()
}

func (r *run) stagedPhone(from *record) (capf.StagedPhone, error) {
	phone, err := r.build.phone(from)
	out := capf.StagedPhone{Record: from.number, Verdict: from.verdict, Phone: phone}
	if from.settled != nil {
		out.Changes = from.settled.changes
	}
	return out, err
}

func (r *run) stageFiles(ctx context.Context) (err error) {
	work := newBehind()
	defer work.end(&err)
	files := newBatches(work, r.before.Files, func(rows []capf.LegacyFile) error { return r.staging.StageFiles(ctx, r.id, rows) })
	for _, c := range r.certificates {
		if err := files.add(c.file); err != nil {
			return err
		}
	}
	return files.flush()
}

func (r *run) stageParameters(ctx context.Context) error {
	values := taken(r.settings)
	if len(values) == 0 {
		return nil
	}
	return r.staging.StageParameters(ctx, r.id, values)
}
