package sqlite

import (
	"context"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// clearBatch is how many rows are cleared in one transaction.
const clearBatch = 1000

// clearUnapplied removes what runs left that were not applied, in short transactions. The runs go last, so that a next
// time finds what this one could not finish.
func (s *Store) clearUnapplied(ctx context.Context) error {
	return s.load(ctx, func(l *loader) error {
		if err := s.clearNewPhones(ctx, l); err != nil {
			return err
		}
		for _, table := range []struct{ name, key, run string }{
			{"staged_phones", "device", "run"}, {"staged_certificates", "id", "run"}, {"staged_parameters", "name", "run"},
			{"import_records", "id", "run"}, {"kept_lines", "id", "run"},
			{"legacy_files", "id", "run"}, {"migration_sources", "run, position", "run"}, {"migration_runs", "id", "id"},
		} {
			query := fmt.Sprintf(`DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s
				WHERE %[3]s IN (SELECT id FROM migration_runs WHERE applied_at IS NULL) LIMIT %[4]d)`, table.name, table.key, table.run, clearBatch)
			err := s.inTurns(ctx, l, func() (bool, error) {
				cleared, err := l.checks.Exec(query)
				return cleared == clearBatch, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// clearNewPhones removes new phones with their operations, which nothing else leads to, and then their table.
func (s *Store) clearNewPhones(ctx context.Context, l *loader) error {
	_, made, err := nextSchema(l.checks)
	if err != nil || made == "" {
		return err
	}
	err = s.inTurns(ctx, l, func() (bool, error) {
		if _, made, err := nextSchema(l.checks); err != nil || made == "" {
			return false, err
		}
		var last string
		left, err := l.checks.First(store.Into(&last), `SELECT device FROM phones_next ORDER BY device LIMIT 1 OFFSET +?1`, clearBatch)
		if err != nil {
			return false, err
		}
		return left, clearPhonesUpTo(l.checks, left, last)
	})
	if err != nil {
		return err
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		_, err := tx.Exec(dropNext)
		return err
	})
}

// clearPhonesUpTo clears new phones up to one of them, or all where that is not bounded.
func clearPhonesUpTo(tx *store.Statements, bounded bool, last string) error {
	if !bounded {
		last = "\U0010FFFF"
	}
	for _, query := range []string{
		`DELETE FROM operations WHERE id IN (SELECT last_operation FROM phones_next WHERE device <= +?1) AND run IN
			(SELECT id FROM migration_runs WHERE applied_at IS NULL)`,
		`DELETE FROM staged_operations WHERE id IN (SELECT last_operation FROM phones_next WHERE device <= +?1)`,
		`DELETE FROM phones_next WHERE device <= +?1`,
	} {
		if _, err := tx.Exec(query, last); err != nil {
			return err
		}
	}
	return nil
}

// checkStaged gives CodeConflict where the run is not one that is being staged.
func checkStaged(tx *store.Statements, run int64) error {
	var id int64
	staged, err := tx.First(store.Into(&id), `SELECT id FROM migration_runs WHERE id = +?1 AND applied_at IS NULL`, run)
	if err == nil && !staged {
		err = &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("migration run %d is not open: it was applied, or another run has cleared it away", run),
			Hint: "run the migration again, one at a time"}
	}
	return err
}
