package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// BeginRun begins to stage a run, or goes on with one of the same key and basis that was not applied, and gives its ID;
// Staged says how far that one came. Nothing of it can be seen before ApplyRun. What else an earlier run left that was
// never applied is cleared away first: one run is staged at a time. IDs are set aside for as many operations as
// run.Counts has pending. CodeConflict where a run with the same key is applied already.
func (s *Store) BeginRun(ctx context.Context, run capf.MigrationRun) (id int64, err error) {
	applied, err := s.AppliedRun(ctx, run.Key)
	if err != nil {
		return 0, err
	}
	if applied != nil {
		return 0, &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("run %d has taken over the same sources with the same decisions", applied.ID),
			Hint: "nothing is left to do; see `capf migrate verify`"}
	}
	if run.StartedAt.IsZero() {
		run.StartedAt = s.now()
	}
	if id, err = s.resumable(run); err != nil {
		return 0, err
	}
	if id != 0 {
		err = s.writer.Do(ctx, func(tx *store.Statements) error { return resumeRun(tx, id, run) })
		return id, err
	}
	if err := s.clearUnapplied(ctx); err != nil {
		return 0, err
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

// resumable gives the run that one before has begun to stage, and 0 where there is none to go on with: the newest, if it
// had come to the same decisions, and if new phones have the schema that phones have now.
func (s *Store) resumable(run capf.MigrationRun) (id int64, err error) {
	if run.Basis == "" {
		return 0, nil
	}
	wanted, made, err := nextSchema(s.reads)
	if err != nil || wanted != made {
		return 0, err
	}
	_, err = s.reads.First(store.Into(&id), `SELECT id FROM migration_runs WHERE applied_at IS NULL AND rolled_back_at IS NULL AND key = +?1 AND basis = +?2
		AND id = (SELECT max(id) FROM migration_runs)`, run.Key, run.Basis)
	return id, err
}

// resumeRun notes what may be otherwise than when the run began: who runs it, and where its sources lie.
func resumeRun(tx *store.Statements, id int64, run capf.MigrationRun) error {
	_, err := tx.Exec(`UPDATE migration_runs SET by = ?2, dialect = ?3 WHERE id = +?1`, id, run.By, run.Dialect)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM migration_sources WHERE run = +?1`, id); err != nil {
		return err
	}
	if err := insertDecisions(tx, id, run); err != nil {
		return err
	}
	return insertSources(tx, id, run.Sources)
}

func insertRun(tx *store.Statements, run capf.MigrationRun) (int64, error) {
	schema, _, err := nextSchema(tx)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(schema); err != nil {
		return 0, err
	}
	from, to, err := reserve(tx, run.Counts.Pending)
	if err != nil {
		return 0, err
	}
	id, err := tx.Insert(`INSERT INTO migration_runs (key, dialect, prefer, started_at, applied_at, by, counts, basis, reserved_from, reserved_to)
		VALUES (?1, ?2, ?3, ?4, NULL, ?5, '{}', ?6, ?7, ?8)`, run.Key, run.Dialect, run.Prefer, run.StartedAt.Unix(), run.By, run.Basis, from, to)
	if err != nil {
		return 0, err
	}
	if err := insertDecisions(tx, id, run); err != nil {
		return 0, err
	}
	return id, insertSources(tx, id, run.Sources)
}

func insertSources(tx *store.Statements, run int64, sources []capf.MigrationSource) error {
	for i, source := range sources {
		_, err := tx.Exec(`INSERT INTO migration_sources (run, position, machine, path, digest, dialect) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`,
			run, i, source.Machine, source.Path, source.Digest, source.Dialect)
		if err != nil {
			return err
		}
	}
	return nil
}

// Staged says how far a run has come that is not applied. Rows of a kind are staged in the order in which they are
// handed over, so that those that are there are the first. CodeConflict where the run is not open.
func (s *Store) Staged(ctx context.Context, run int64) (rows capf.StagedRows, err error) {
	if err := ctx.Err(); err != nil {
		return rows, err
	}
	if err := checkStaged(s.reads, run); err != nil {
		return rows, err
	}
	var started sql.NullInt64
	_, err = s.reads.First(store.Into(&rows.Records, &rows.KeptLines, &rows.Files, &rows.Phones, &started), `SELECT
		(SELECT count(*) FROM import_records WHERE run = +?1), (SELECT count(*) FROM kept_lines WHERE run = +?1),
		(SELECT count(*) FROM legacy_files WHERE run = +?1),
		(SELECT count(*) FROM staged_phones WHERE run = +?1) + (SELECT count(*) FROM phones_next), started_at
		FROM migration_runs WHERE id = +?1`, run)
	rows.StartedAt = store.Time(started)
	return rows, err
}

// prepareApply does before the lock is taken what can be done then, and sees that little is left to be flushed.
func (s *Store) prepareApply(ctx context.Context, run int64) (newPhones, error) {
	if err := checkStaged(s.reads, run); err != nil {
		return newPhones{}, err
	}
	if err := s.keepBefore(ctx, run); err != nil {
		return newPhones{}, err
	}
	s.checkpoints.end()
	if err := s.endLoading(); err != nil {
		return newPhones{}, s.classify(err)
	}
	return s.newPhonesOf(run)
}
