package sqlite

import (
	"fmt"

	"capf/runtime/capf"
)

// The statements that restore; ?1 is the run, ?2 the time.
const (
	addedAndRestored = ` IN (SELECT device FROM undo_phones WHERE added AND kept IS NULL)`

	removeOperations = `DELETE FROM operations WHERE id IN (SELECT run_operation FROM undo_phones WHERE kept IS NULL)`

	// No session comes back to an operation: what it had begun was refused when the run ended it.
	reopenOperations = `UPDATE operations SET ending = '', ended_at = NULL, ended_by = '', detail = '', serving = ''
		WHERE id IN (SELECT pending_operation FROM undo_phones WHERE kept IS NULL) AND ending IN ('replaced', 'withdrawn')`

	// An operation of before that went on, and has expired since, keeps its result. The count of changes goes on:
	// whoever has read the phone since must find out.
	//
	// Offered as rows that are there already, as those of a run (apply.go). In last_tls such a row has how the operation of
	// before has ended.
	restorePhones = `INSERT INTO phones (device, description, auth_mode, auth_string, key_size, security_mode, last_operation, lsc_known, mic,
		last_address, last_tls, result, result_mark, changes, changed_at, imported)
		SELECT b.device, b.description, b.auth_mode, iif(o.ending <> '' OR b.string_until < ?2, NULL, b.auth_string), b.key_size,
		b.security_mode, b.last_operation, 'gone', '', '', coalesce(o.ending, ''), b.result, b.result_mark, 1, b.changed_at, b.imported
		FROM undo_phones u CROSS JOIN phones_before b ON b.run = +?1 AND b.device = u.device
		LEFT JOIN operations o ON o.id = b.pending_operation WHERE u.kept IS NULL
		ON CONFLICT (device) DO UPDATE SET description = excluded.description, auth_mode = excluded.auth_mode,
		auth_string = excluded.auth_string, key_size = excluded.key_size, security_mode = excluded.security_mode,
		last_operation = excluded.last_operation,
		result = iif(excluded.last_tls = 'expired', phones.result, excluded.result),
		result_mark = iif(excluded.last_tls = 'expired', phones.result_mark, excluded.result_mark),
		changes = phones.changes + 1, changed_at = excluded.changed_at, imported = excluded.imported`

	removePhones = `DELETE FROM phones WHERE device` + addedAndRestored

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

// write restores what was decided. What is removed goes before what is reopened: of each phone one operation is
// pending.
func (r *rollback) write() error {
	run, now := r.Run, r.now.Unix()
	c := r.Counts
	for _, step := range []struct {
		query     string
		arguments []any
		want      int // rows; -1: any number
	}{
		{removeOperations, nil, c.OperationsRemoved},
		{reopenOperations, nil, c.OperationsReopened},
		{restorePhones, []any{run, now}, c.PhonesRestored},
		{removePhones, nil, c.PhonesRemoved},
		// What hangs on what was removed, as when a phone is removed.
		{`DELETE FROM held_calls AS h WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = h.operation)`, nil, -1},
		{`DELETE FROM wrong_strings AS w WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = w.operation)`, nil, -1},
		{`DELETE FROM resets WHERE device` + addedAndRestored, nil, -1},
		{`DELETE FROM idle_calls WHERE device` + addedAndRestored, nil, -1},
		{`UPDATE attempts SET known = 0 WHERE known = 1 AND device` + addedAndRestored, nil, -1},
		{restoreWrongStrings, []any{run}, -1},
		{`DELETE FROM certificate_issuers WHERE certificate IN (SELECT id FROM undo_certificates WHERE kept IS NULL)`, nil, -1},
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
