package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// RollBackRun takes back what an applied run changed, all in one transaction, and gives what it restored and what
// it kept. The run's records, kept lines and files stay as history; the run counts as applied no more.
//
// What a person or a phone has changed since stays as it is, each phone as a whole: one that was changed, has
// called, or got an LSC; removed ones stay removed. So do certificates that a phone has shown or that were revoked,
// anchors on which LSCs hang, and parameters that were set since. Certificates that were issued are no run's.
// An operation that the run ended is pending again; where its deadline has passed it reads as expired, and its
// string stays void. That an operation of the run itself expired is nobody's change.
//
// CodeNotFound where there is no such run; CodeConflict where it was rolled back already or a newer one stands;
// CodeRefused for one that was applied before anything was kept to go back to.
func (s *Store) RollBackRun(ctx context.Context, run int64, by string) (capf.Rollback, error) {
	anchors, err := store.Collect(s.reads, scanAnchor, selectRunAnchors, run)
	if err != nil {
		return capf.Rollback{}, err
	}
	// Here and not under the lock: to verify the LSCs of 100,000 phones takes seconds.
	if err := s.LinkIssuers(ctx, anchors); err != nil {
		return capf.Rollback{}, err
	}
	r := &rollback{Rollback: capf.Rollback{Run: run, By: by}}
	err = s.onBulk(ctx, func(tx *store.Statements) error {
		return s.writeBulk(ctx, tx, func() error {
			if err := s.decideRollback(tx, r); err != nil {
				return err
			}
			if err := r.write(); err != nil {
				return err
			}
			return s.audit(tx, by, "migrate rollback", fmt.Sprintf("run %d", run), describeRollback(r.Rollback))
		})
	})
	if err != nil {
		return capf.Rollback{}, err
	}
	_ = s.clearImages(ctx) // where that does not come to its end, the next run does it
	return r.Rollback, nil
}

// TryRollBack is RollBackRun without changing anything. It holds no lock.
func (s *Store) TryRollBack(ctx context.Context, run int64, by string) (capf.Rollback, error) {
	r := &rollback{Rollback: capf.Rollback{Run: run, By: by, DryRun: true}}
	err := s.onBulk(ctx, func(tx *store.Statements) error {
		return inSnapshot(tx, func() error { return s.decideRollback(tx, r) })
	})
	if err != nil {
		return capf.Rollback{}, err
	}
	return r.Rollback, nil
}

func describeRollback(of capf.Rollback) string {
	c := of.Counts
	return fmt.Sprintf("phones removed=%d restored=%d operations removed=%d reopened=%d certificates removed=%d anchors removed=%d parameters removed=%d kept=%d",
		c.PhonesRemoved, c.PhonesRestored, c.OperationsRemoved, c.OperationsReopened, c.Certificates, c.Anchors, c.Parameters, len(of.Kept))
}

// rollback is one that is under way.
type rollback struct {
	capf.Rollback
	tx          *store.Statements
	after, upTo given // what the run added has the IDs after those, up to these
}

const (
	selectRunAnchors = `SELECT a.id, a.kind, a.subject, a.serial, a.not_before, a.not_after, a.der, a.sha256, a.origin, a.added_at
		FROM migration_runs r JOIN anchors a ON a.id > r.anchors_after AND a.id <= r.anchors_up_to WHERE r.id = +?1 ORDER BY a.id`

	selectRollbackRun = `SELECT rolled_back_at, rolled_back_by, certificates_after IS NOT NULL,
		coalesce(certificates_after, 0), coalesce(certificates_up_to, 0), coalesce(anchors_after, 0), coalesce(anchors_up_to, 0),
		(SELECT coalesce(max(n.id), 0) FROM migration_runs n WHERE n.id > r.id AND n.applied_at IS NOT NULL AND n.rolled_back_at IS NULL)
		FROM migration_runs r WHERE id = +?1 AND applied_at IS NOT NULL`
)

// find reads the run, or says why it cannot be rolled back.
func (r *rollback) find() error {
	var rolledBackAt sql.NullInt64
	var rolledBackBy string
	var newer int64
	var reversible bool
	after, upTo := &r.after, &r.upTo
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

// The statements that restore; ?1 is the run, ?2 the time.
const (
	addedAndRestored = ` IN (SELECT device FROM undo_phones WHERE added AND kept IS NULL)`
	operationsOfUndo = ` IN (SELECT run_operation FROM undo_phones WHERE kept IS NULL)`

	// The string of an operation that will not be pending again stays void. An operation of before that went on, and has
	// expired since, keeps its result. The count of changes goes on: whoever has read the phone since must find out.
	restorePhones = `UPDATE phones SET description = b.description, auth_mode = b.auth_mode,
		auth_string = iif(b.ending NOT IN ('', 'replaced', 'withdrawn') OR b.string_until < ?2, NULL, b.auth_string), key_size = b.key_size,
		security_mode = b.security_mode, last_operation = b.last_operation,
		result = iif(b.ending = 'expired', phones.result, b.result),
		result_mark = iif(b.ending = 'expired', phones.result_mark, b.result_mark),
		changes = phones.changes + 1, changed_at = b.changed_at, imported = b.imported
		FROM (SELECT b.*, o.ending FROM undo_phones u CROSS JOIN phones_before b ON b.run = +?1 AND b.device = u.device
			LEFT JOIN operations o ON o.id = b.pending_operation WHERE u.kept IS NULL) b
		WHERE phones.device = b.device`

	// No session comes back to an operation: what it had begun was refused when the run ended it.
	reopenOperations = `UPDATE operations SET ending = '', ended_at = NULL, ended_by = '', detail = '', serving = ''
		WHERE id IN (SELECT pending_operation FROM undo_phones WHERE kept IS NULL) AND ending IN ('replaced', 'withdrawn')`

	restoreWrongStrings = `INSERT INTO wrong_strings (device, operation, address, count, last_at)
		SELECT w.device, w.operation, w.address, w.count, w.last_at FROM wrong_strings_before w
		JOIN undo_phones u ON u.device = w.device AND u.kept IS NULL WHERE w.run = +?1
		ON CONFLICT DO NOTHING`

	keepForHistory = `INSERT INTO rollback_kept (run, kind, name, reason)
		SELECT ?1, 'phone', device, kept FROM undo_phones WHERE kept IS NOT NULL
		UNION ALL SELECT ?1, 'certificate', CAST(id AS TEXT), kept FROM undo_certificates WHERE kept IS NOT NULL
		UNION ALL SELECT ?1, 'anchor', CAST(id AS TEXT), kept FROM undo_anchors WHERE kept IS NOT NULL
		UNION ALL SELECT ?1, 'parameter', name, kept FROM undo_parameters WHERE kept IS NOT NULL`
)

// write restores what was decided: first what refers to operations of the run, then these, and then what they had ended, so
// that of each phone one operation is pending.
func (r *rollback) write() error {
	run, now := r.Run, r.At.Unix()
	c := r.Counts
	for _, step := range []struct {
		query     string
		arguments []any
		want      int // rows; -1: any number
	}{
		{restorePhones, []any{run, now}, c.PhonesRestored},
		{`DELETE FROM phones WHERE device` + addedAndRestored, nil, c.PhonesRemoved},
		// What hangs on what is removed, as when a phone is removed.
		{`DELETE FROM held_calls WHERE operation` + operationsOfUndo, nil, -1},
		{`DELETE FROM wrong_strings WHERE operation` + operationsOfUndo, nil, -1},
		{`DELETE FROM resets WHERE device` + addedAndRestored, nil, -1},
		{`DELETE FROM idle_calls WHERE device` + addedAndRestored, nil, -1},
		{`UPDATE attempts SET known = 0 WHERE known = 1 AND device` + addedAndRestored, nil, -1},
		{`DELETE FROM operations WHERE id` + operationsOfUndo, nil, c.OperationsRemoved},
		{reopenOperations, nil, c.OperationsReopened},
		{restoreWrongStrings, []any{run}, -1},
		{`DELETE FROM certificates WHERE id IN (SELECT id FROM undo_certificates WHERE kept IS NULL)`, nil, c.Certificates},
		{`DELETE FROM anchors WHERE id IN (SELECT id FROM undo_anchors WHERE kept IS NULL)`, nil, c.Anchors},
		{`DELETE FROM parameters WHERE name IN (SELECT name FROM undo_parameters WHERE kept IS NULL)`, nil, c.Parameters},
		{keepForHistory, []any{run}, -1},
		{`DELETE FROM wrong_strings_before WHERE run = +?1`, []any{run}, -1},
		{`DELETE FROM run_parameters WHERE run = +?1`, []any{run}, -1},
		// One that is being staged was planned with what is no more.
		{`UPDATE migration_runs SET rolled_back_at = ?2, rolled_back_by = ?3 WHERE id = +?1 OR applied_at IS NULL`, []any{run, now, r.By}, -1},
	} {
		rows, err := r.tx.Exec(step.query, step.arguments...)
		if err == nil && step.want >= 0 && rows != int64(step.want) {
			err = &capf.Error{Code: capf.CodeInternal, Message: fmt.Sprintf("rollback of run %d: %d rows in place of %d; nothing was changed", run, rows, step.want)}
		}
		if err != nil {
			return err
		}
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
