package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
