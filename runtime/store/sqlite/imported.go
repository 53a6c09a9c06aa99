package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Migrations that were applied: the runs, their records, and what a verification found.

// numbered is a row with the ID by which its pages go on.
type numbered[T any] struct {
	id  int64
	row T
}

// inRun hands out rows of an applied run in their order; ?1 and ?2 are for inPages, ?3 is the run.
func inRun[T any](ctx context.Context, s *Store, run int64, scan func(store.Scanner) (numbered[T], error), yield func(T) error, query string) error {
	return inPages(ctx, s.reads, scan, func(n numbered[T]) int64 { return n.id }, func(n numbered[T]) error { return yield(n.row) },
		query, []any{int64(0), pageSize, run})
}

// ofAppliedRun is the condition of every query for rows of a run.
const ofAppliedRun = ` WHERE id > +?1 AND run = (SELECT id FROM migration_runs WHERE id = +?3 AND applied_at IS NOT NULL) ORDER BY id LIMIT +?2`

// ImportRecords hands out the records of an applied run in the order in which they were staged, until
// yield gives an error. Their phones are not in them: what became of a phone is the store's.
func (s *Store) ImportRecords(ctx context.Context, run int64, yield func(capf.ImportRecord) error) error {
	return inRun(ctx, s, run, scanImportRecord, yield,
		`SELECT id, device, machine, file, line, digest, raw, time, verdict FROM import_records`+ofAppliedRun)
}

func scanImportRecord(cursor store.Scanner) (n numbered[capf.ImportRecord], err error) {
	r := &n.row
	err = cursor.Scan(&n.id, &r.Device, &r.Machine, &r.File, &r.Line, &r.Digest, &r.Raw, &r.Time, &r.Verdict)
	return n, err
}

// KeptLines hands out the lines that an applied run kept aside, until yield gives an error.
func (s *Store) KeptLines(ctx context.Context, run int64, yield func(capf.KeptLine) error) error {
	return inRun(ctx, s, run, scanKeptLine, yield, `SELECT id, machine, file, line, bytes, sha256, reason FROM kept_lines`+ofAppliedRun)
}

func scanKeptLine(cursor store.Scanner) (n numbered[capf.KeptLine], err error) {
	l := &n.row
	err = cursor.Scan(&n.id, &l.Machine, &l.File, &l.Line, &l.Bytes, &l.SHA256, &l.Reason)
	return n, err
}

// LegacyFiles hands out the certificates that an applied run found, until yield gives an error.
func (s *Store) LegacyFiles(ctx context.Context, run int64, yield func(capf.LegacyFile) error) error {
	return inRun(ctx, s, run, scanLegacyFile, yield, `SELECT id, machine, file, line, sha256, subject, der, use, why FROM legacy_files`+ofAppliedRun)
}

func scanLegacyFile(cursor store.Scanner) (n numbered[capf.LegacyFile], err error) {
	f := &n.row
	err = cursor.Scan(&n.id, &f.Machine, &f.File, &f.Line, &f.SHA256, &f.Subject, &f.DER, &f.Use, &f.Why)
	return n, err
}

// known is a record that an applied run has read.
type known struct {
	id             int64
	device, digest string
}

// Records are read in the order of their IDs: by the index of their runs each page would sort all of them.
const selectKnownRecords = `SELECT i.id, i.device, i.digest FROM import_records i WHERE i.id > +?1
	AND (+i.run IN (SELECT id FROM migration_runs WHERE applied_at IS NOT NULL AND rolled_back_at IS NULL)
		OR +i.run IN (SELECT id FROM migration_runs WHERE applied_at IS NOT NULL)
			AND EXISTS (SELECT 1 FROM rollback_kept k WHERE k.run = i.run AND k.kind = 'phone' AND k.name = i.device))
	ORDER BY i.id LIMIT +?2`

// KnownRecords hands out the records that applied runs have read, by their devices and digests, until yield gives an
// error. Of a run that was rolled back those count whose phones were kept: they were decided then.
func (s *Store) KnownRecords(ctx context.Context, yield func(device, digest string) error) error {
	return inPages(ctx, s.reads, func(cursor store.Scanner) (row known, err error) {
		err = cursor.Scan(&row.id, &row.device, &row.digest)
		return row, err
	}, func(row known) int64 { return row.id }, func(row known) error { return yield(row.device, row.digest) },
		selectKnownRecords, []any{int64(0), pageSize})
}

// provenanceRow is a phone and where it comes from.
type provenanceRow struct {
	device string
	capf.Provenance
}

// Provenances hands out every phone with where it comes from, in the order of their names, until yield
// gives an error.
func (s *Store) Provenances(ctx context.Context, yield func(device string, provenance capf.Provenance) error) error {
	return inPages(ctx, s.reads, scanProvenance, func(row provenanceRow) string { return row.device },
		func(row provenanceRow) error { return yield(row.device, row.Provenance) },
		`SELECT p.device, p.changes, p.changed_at, i.id, i.machine, i.file, i.line, i.digest, i.time, i.verdict
		FROM phones p LEFT JOIN import_records i ON i.id = p.imported WHERE p.device > +?1 ORDER BY p.device LIMIT +?2`,
		[]any{"", pageSize})
}

func scanProvenance(cursor store.Scanner) (row provenanceRow, err error) {
	var changedAt, record, line sql.NullInt64
	var machine, file, digest, time, verdict sql.NullString
	err = cursor.Scan(&row.device, &row.Changes, &changedAt, &record, &machine, &file, &line, &digest, &time, &verdict)
	row.ChangedAt = store.Time(changedAt)
	if record.Valid {
		row.Imported = &capf.ImportRecord{Device: row.device, Machine: machine.String, File: file.String, Line: int(line.Int64),
			Digest: digest.String, Time: time.String, Verdict: capf.Verdict(verdict.String)}
	}
	return row, err
}

const selectRuns = `SELECT id, key, dialect, prefer, started_at, applied_at, by, counts, rolled_back_at, rolled_back_by, decisions, missing
	FROM migration_runs WHERE applied_at IS NOT NULL`

// AppliedRun gives the applied run with that key that was not rolled back, nil where there is none.
func (s *Store) AppliedRun(ctx context.Context, key string) (*capf.MigrationRun, error) {
	runs, err := s.runs(ctx, selectRuns+` AND rolled_back_at IS NULL AND key = +?1`, key)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return &runs[0], nil
}

// Runs gives the applied runs, those that were rolled back too, the oldest first.
func (s *Store) Runs(ctx context.Context) ([]capf.MigrationRun, error) {
	return s.runs(ctx, selectRuns+` ORDER BY id`)
}

// Run gives an applied run. CodeNotFound where there is none.
func (s *Store) Run(ctx context.Context, id int64) (capf.MigrationRun, error) {
	runs, err := s.runs(ctx, selectRuns+` AND id = +?1`, id)
	if err != nil {
		return capf.MigrationRun{}, err
	}
	if len(runs) == 0 {
		return capf.MigrationRun{}, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("migration run %d is not in the store", id),
			Hint: "see `capf migrate list`"}
	}
	return runs[0], nil
}

func (s *Store) runs(ctx context.Context, query string, arguments ...any) ([]capf.MigrationRun, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	runs, err := store.Collect(s.reads, scanRun, query, arguments...)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		runs[i].Sources, err = store.Collect(s.reads, scanSource,
			`SELECT machine, path, digest, dialect FROM migration_sources WHERE run = +?1 ORDER BY position`, runs[i].ID)
		if err != nil {
			return nil, err
		}
		if runs[i].Verified, err = s.verification(runs[i].ID); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

func scanRun(cursor store.Scanner) (run capf.MigrationRun, err error) {
	var startedAt, appliedAt, rolledBackAt sql.NullInt64
	var counts, decisions, missing []byte
	err = cursor.Scan(&run.ID, &run.Key, &run.Dialect, &run.Prefer, &startedAt, &appliedAt, &run.By, &counts, &rolledBackAt, &run.RolledBackBy,
		&decisions, &missing)
	if err != nil {
		return run, err
	}
	run.StartedAt, run.AppliedAt, run.RolledBackAt = store.Time(startedAt), store.Time(appliedAt), store.Time(rolledBackAt)
	return run, errors.Join(json.Unmarshal(counts, &run.Counts), json.Unmarshal(decisions, &run.Decisions), json.Unmarshal(missing, &run.Missing))
}

func scanSource(cursor store.Scanner) (source capf.MigrationSource, err error) {
	err = cursor.Scan(&source.Machine, &source.Path, &source.Digest, &source.Dialect)
	return source, err
}

// recordsOf are the IDs of a run's records, first to last; none where other rows lie between them, or it has none.
type recordsOf struct{ first, last int64 }

// A run stages its records one after the other, so that their numbers are told from their IDs.
const selectRecordsOf = `SELECT count(*), min(id), max(id) FROM import_records
	WHERE run = (SELECT id FROM migration_runs WHERE id = +?1 AND applied_at IS NOT NULL)`

func (s *Store) recordsOf(run int64) (recordsOf, error) {
	var count int64
	var first, last sql.NullInt64
	_, err := s.reads.First(store.Into(&count, &first, &last), selectRecordsOf, run)
	if err != nil || count == 0 || last.Int64-first.Int64 != count-1 {
		return recordsOf{}, err
	}
	return recordsOf{first.Int64, last.Int64}, nil
}

// number gives that of a record, from 1; 0 for one that is not the run's.
func (r recordsOf) number(id sql.NullInt64) int {
	if !id.Valid || r.first == 0 || id.Int64 < r.first || id.Int64 > r.last {
		return 0
	}
	return int(id.Int64 - r.first + 1)
}

// Records lie in the order of their run, phones in that of their names: to look up the record of each phone takes longer
// than all the rest. So it is done for records of other runs only.
const selectTakenPhones = `SELECT p.device, p.description, p.auth_mode, p.auth_string, p.key_size, p.changed_at, p.imported, i.digest, i.machine,
	p.last_operation, o.operation, o.auth_mode, o.key_size, o.ended_at, o.ended_by, o.ending, o.result, o.detail
	FROM phones p LEFT JOIN operations o ON o.id = p.last_operation
	LEFT JOIN import_records i ON i.id = CASE WHEN p.imported BETWEEN +?3 AND +?4 THEN NULL ELSE p.imported END
	WHERE p.device > +?1 ORDER BY p.device LIMIT +?2`

// TakenPhones hands out every phone, as far as records of phones say something of it, with the record that it comes from,
// in the order of their names, until yield gives an error.
func (s *Store) TakenPhones(ctx context.Context, run int64, yield func(capf.TakenPhone) error) error {
	records, err := s.recordsOf(run)
	if err != nil {
		return err
	}
	return inPages(ctx, s.reads, records.scanTaken, func(phone capf.TakenPhone) string { return phone.Device }, yield,
		selectTakenPhones, []any{"", pageSize, records.first, records.last})
}

// scanTaken reads a row of selectTakenPhones.
func (r recordsOf) scanTaken(cursor store.Scanner) (p capf.TakenPhone, err error) {
	var digits sql.Null[string]
	var changedAt, imported sql.NullInt64
	var digest, machine sql.NullString
	var o operationColumns
	err = cursor.Scan(&p.Device, &p.Description, &p.AuthMode, &digits, &p.KeySize, &changedAt, &imported, &digest, &machine,
		&o.id, &o.operation, &o.authMode, &o.keySize, &o.endedAt, &o.endedBy, &o.ending, &o.result, &o.detail)
	if err != nil {
		return capf.TakenPhone{}, err
	}
	p.Record, p.ChangedAt, p.Digest, p.Machine = r.number(imported), store.Time(changedAt), digest.String, machine.String
	p.Last = o.record(p.Device)
	p.AuthString, err = store.Secret(digits)
	return p, err
}

// A run that was rolled back is verified no more.
const insertVerification = `INSERT INTO verifications (run, at, by, changes, records, phones, certificates, kept_aside, differences, since, other_sources)
	SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM migration_runs
	WHERE id = +?1 AND applied_at IS NOT NULL AND rolled_back_at IS NULL
	ON CONFLICT (run) DO UPDATE SET at = excluded.at, by = excluded.by, changes = excluded.changes, records = excluded.records,
	phones = excluded.phones, certificates = excluded.certificates, kept_aside = excluded.kept_aside,
	differences = excluded.differences, since = excluded.since, other_sources = excluded.other_sources`

// RecordVerification notes what a verification of a run has found, in place of the one before; the time is the store's.
// CodeNotFound where no run of that number stands.
func (s *Store) RecordVerification(ctx context.Context, v capf.MigrationVerification) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		written, err := tx.Exec(insertVerification, v.Run, s.now().Unix(), v.By, v.Changes, v.Records, v.Phones, v.Certificates, v.KeptAside,
			v.Differences, v.Since, v.OtherSources)
		if err == nil && written == 0 {
			err = &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("migration run %d does not stand (any more)", v.Run),
				Hint: "see `capf migrate list`"}
		}
		if err != nil {
			return err
		}
		return s.audit(tx, v.By, "migrate verify", fmt.Sprintf("run %d", v.Run), v.String())
	})
}

// verification gives the last one of a run; nil where there is none.
func (s *Store) verification(run int64) (*capf.MigrationVerification, error) {
	v := &capf.MigrationVerification{Run: run}
	var at sql.NullInt64
	found, err := s.reads.First(store.Into(&at, &v.By, &v.Changes, &v.Records, &v.Phones, &v.Certificates, &v.KeptAside, &v.Differences,
		&v.Since, &v.OtherSources), `SELECT at, by, changes, records, phones, certificates, kept_aside, differences, since, other_sources
		FROM verifications WHERE run = +?1`, run)
	if err != nil || !found {
		return nil, err
	}
	v.At = store.Time(at)
	return v, nil
}

// Of a parameter that the same person set in the second of the run only the audit trail tells; the run's own setting is
// not in it. A parameter that stands no more has its default again, and nobody who changed it.
const selectTakenParameters = `SELECT name, value, now, iif(since, at, NULL), iif(since, by, '') FROM (
	SELECT r.name, r.value, p.value AS now, p.changed_at AS at, p.changed_by AS by,
	p.changed_at <> r.changed_at OR p.changed_by <> r.changed_by OR EXISTS
		(SELECT 1 FROM audit a WHERE a.action = 'parameter set' AND a.subject = r.name AND a.at >= r.changed_at) AS since
	FROM run_parameters r LEFT JOIN parameters p ON p.name = r.name WHERE r.run = +?1) ORDER BY name`

// TakenParameters gives the parameters that a run set, by name, and what has become of each. Of runs of a schema before
// 12 nothing is known: they have none.
func (s *Store) TakenParameters(ctx context.Context, run int64) ([]capf.TakenParameter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanTakenParameter, selectTakenParameters, run)
}

func scanTakenParameter(cursor store.Scanner) (one capf.TakenParameter, err error) {
	var now, by sql.NullString
	var at sql.NullInt64
	err = cursor.Scan(&one.Name, &one.Value, &now, &at, &by)
	one.Now, one.ChangedAt, one.ChangedBy = now.String, store.Time(at), by.String
	if !now.Valid {
		one.Now = capf.Parameters{}.Get(one.Name)
	}
	return one, err
}
