package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

const selectRuns = `SELECT id, key, dialect, prefer, started_at, applied_at, by, counts FROM migration_runs WHERE applied_at IS NOT NULL`

// AppliedRun gives the applied run with that key, nil where there is none.
func (s *Store) AppliedRun(ctx context.Context, key string) (*capf.MigrationRun, error) {
	runs, err := s.runs(ctx, selectRuns+` AND key = +?1`, key)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return &runs[0], nil
}

// Runs gives the applied runs, the oldest first.
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
	}
	return runs, nil
}

func scanRun(cursor store.Scanner) (run capf.MigrationRun, err error) {
	var startedAt, appliedAt sql.NullInt64
	var counts []byte
	err = cursor.Scan(&run.ID, &run.Key, &run.Dialect, &run.Prefer, &startedAt, &appliedAt, &run.By, &counts)
	if err != nil {
		return run, err
	}
	run.StartedAt, run.AppliedAt = store.Time(startedAt), store.Time(appliedAt)
	return run, json.Unmarshal(counts, &run.Counts)
}

func scanSource(cursor store.Scanner) (source capf.MigrationSource, err error) {
	err = cursor.Scan(&source.Machine, &source.Path, &source.Digest, &source.Dialect)
	return source, err
}

// BeginRun begins to stage a run, and gives its ID. Nothing of it can be seen before ApplyRun. What an
// earlier run left that was never applied is cleared away first: one run is staged at a time.
// CodeConflict where a run with the same key is applied already.
func (s *Store) BeginRun(ctx context.Context, run capf.MigrationRun) (id int64, err error) {
	applied, err := s.AppliedRun(ctx, run.Key)
	if err != nil {
		return 0, err
	}
	if applied != nil {
		return 0, &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("run %d has taken over the same sources with the same decisions", applied.ID),
			Hint: "nothing is left to do; see `capf migrate verify`"}
	}
	if err := s.clearUnapplied(ctx); err != nil {
		return 0, err
	}
	if run.StartedAt.IsZero() {
		run.StartedAt = s.now()
	}
	err = s.writer.Do(ctx, func(tx *store.Statements) (err error) {
		id, err = insertRun(tx, run)
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

func insertRun(tx *store.Statements, run capf.MigrationRun) (int64, error) {
	id, err := tx.Insert(`INSERT INTO migration_runs (key, dialect, prefer, started_at, applied_at, by, counts)
		VALUES (?1, ?2, ?3, ?4, NULL, ?5, '{}')`, run.Key, run.Dialect, run.Prefer, run.StartedAt.Unix(), run.By)
	if err != nil {
		return 0, err
	}
	for i, source := range run.Sources {
		_, err := tx.Exec(`INSERT INTO migration_sources (run, position, machine, path, digest, dialect) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`,
			id, i, source.Machine, source.Path, source.Digest, source.Dialect)
		if err != nil {
			return 0, err
		}
	}
	return id, nil
}

// clearBatch is how many rows are cleared in one transaction.
const clearBatch = 1000

// clearUnapplied removes what runs left that were not applied, in short batches. The runs go last, so
// that a next time finds what this one could not finish.
func (s *Store) clearUnapplied(ctx context.Context) error {
	for _, table := range []struct{ name, key string }{
		{"staged_phones", "device"}, {"staged_certificates", "id"}, {"staged_parameters", "name"},
		{"import_records", "id"}, {"kept_lines", "id"}, {"legacy_files", "id"}, {"migration_sources", "run"},
		{"migration_runs", "id"},
	} {
		run := "run"
		if table.name == "migration_runs" {
			run = "id"
		}
		query := fmt.Sprintf(`DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s
			WHERE %[3]s IN (SELECT id FROM migration_runs WHERE applied_at IS NULL) LIMIT %[4]d)`, table.name, table.key, run, clearBatch)
		for cleared := int64(clearBatch); cleared == clearBatch; {
			err := s.writer.Do(ctx, func(tx *store.Statements) (err error) {
				cleared, err = tx.Exec(query)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
