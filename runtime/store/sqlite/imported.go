package sqlite

import (
	"context"
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
