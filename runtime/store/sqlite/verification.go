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
