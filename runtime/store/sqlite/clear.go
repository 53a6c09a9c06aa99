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
		if err := s.giveUp(ctx, l); err != nil {
			return err
		}
		if err := s.clearNewPhones(ctx, l); err != nil {
			return err
		}
		if err := s.clearUpdated(ctx, l); err != nil {
			return err
		}
		if err := s.clearImages(ctx, l); err != nil {
			return err
		}
		for _, table := range []struct{ name, key, run string }{
			{"staged_certificates", "id", "run"}, {"staged_parameters", "name", "run"},
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

// giveUp sees that nobody goes on with a run of which a part has been cleared away, where clearing does not come to its end.
func (s *Store) giveUp(ctx context.Context, l *loader) error {
	return s.inTurns(ctx, l, func() (bool, error) {
		_, err := l.checks.Exec(`UPDATE migration_runs SET basis = '' WHERE applied_at IS NULL`)
		return false, err
	})
}

// clearNewPhones removes new phones with their operations, which nothing else leads to, and then their table.
func (s *Store) clearNewPhones(ctx context.Context, l *loader) error {
	if _, made, err := nextSchema(l.checks); err != nil || made == "" {
		return err
	}
	err := s.inTurns(ctx, l, func() (bool, error) {
		if _, made, err := nextSchema(l.checks); err != nil || made == "" {
			return false, err
		}
		return clearPhones(l.checks, nextPhones)
	})
	if err != nil {
		return err
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		_, err := tx.Exec(dropNext)
		return err
	})
}

// clearUpdated removes what was staged of phones that the store has.
func (s *Store) clearUpdated(ctx context.Context, l *loader) error {
	return s.inTurns(ctx, l, func() (bool, error) {
		if _, err := l.checks.Exec(`DELETE FROM staged_endings`); err != nil {
			return false, err
		}
		return clearPhones(l.checks, "staged_phones")
	})
}

// clearPhones clears some phones of a table of staged ones, and the operations that are staged with them. It says whether
// more are left.
func clearPhones(tx *store.Statements, table string) (left bool, err error) {
	var last string
	left, err = tx.First(store.Into(&last), `SELECT device FROM `+table+` ORDER BY device LIMIT 1 OFFSET +?1`, clearBatch)
	if err != nil {
		return false, err
	}
	if !left {
		last = lastDevice
	}
	chosen := ` IN (SELECT last_operation FROM ` + table + ` WHERE device <= +?1)`
	for _, query := range []string{
		`DELETE FROM operations WHERE id` + chosen + ` AND run IN (SELECT id FROM migration_runs WHERE applied_at IS NULL)`,
		`DELETE FROM staged_operations WHERE id` + chosen,
		`DELETE FROM ` + table + ` WHERE device <= +?1`,
	} {
		if _, err := tx.Exec(query, last); err != nil {
			return false, err
		}
	}
	return left, nil
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
