package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// find reads the run, or says why it cannot be rolled back.
func (r *rollback) find() error {
	var rolledBackAt sql.NullInt64
	var rolledBackBy string
	var newer int64
	var reversible bool
	after, upTo := &r.of.after, &r.of.upTo
	found, err := r.tx.First(store.Into(&rolledBackAt, &rolledBackBy, &reversible, &after.certificate, &upTo.certificate,
		&after.anchor, &upTo.anchor, &newer), selectRollbackRun, r.Run)
	switch {
	case err != nil:
		return err
	case !found:
		return &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("migration run %d is not in the store", r.Run), Hint: "see `capf migrate list`"}
	case rolledBackAt.Valid:
		return &capf.Error{Code: capf.CodeConflict, Hint: "nothing is left to do",
			Message: fmt.Sprintf("run %d was rolled back already, at %s by %s", r.Run, capf.FormatTime(store.Time(rolledBackAt)), rolledBackBy)}
	case newer != 0:
		return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("run %d came after run %d and stands", newer, r.Run),
			Hint: fmt.Sprintf("roll back run %d first: `capf migrate rollback %d`", newer, newer)}
	case !reversible:
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("run %d was applied by an earlier capf, which kept nothing to go back to", r.Run),
			Hint: "change the phones, or go back to the copy beside the store from before the upgrade"}
	}
	return nil
}

// voidBefore voids the string that is kept of a phone for a rollback: the phone was changed or removed, and will not
// be restored.
func voidBefore(tx *store.Statements, device string) error {
	_, err := tx.Exec(voidBeforeOf, device)
	return err
}

const (
	voidBeforeOf = `UPDATE phones_before SET auth_string = NULL WHERE auth_string IS NOT NULL AND device = +?1`

	selectPastStrings = `SELECT count(*) FROM phones_before WHERE auth_string IS NOT NULL AND string_until < +?1`

	voidPastStrings = `UPDATE phones_before SET auth_string = NULL WHERE (run, device) IN
		(SELECT run, device FROM phones_before WHERE auth_string IS NOT NULL AND string_until < +?1 LIMIT +?2)`
)

// voidStringsBefore voids the strings that are kept for a rollback and whose operation is past its deadline, so many
// at a time.
func (s *Store) voidStringsBefore(ctx context.Context, now time.Time, limit int) error {
	var past int
	if _, err := s.reads.First(store.Into(&past), selectPastStrings, now.Unix()); err != nil {
		return err
	}
	for ; past > 0 && limit > 0; past -= limit {
		err := s.writer.Do(ctx, func(tx *store.Statements) error {
			_, err := tx.Exec(voidPastStrings, now.Unix(), limit)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
