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
