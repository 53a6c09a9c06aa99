package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// The statements that make a staged run visible; ?1 is the run, ?2 the time, ?3 who ran it, ?4 the highest
// ID of an operation.
const (
	// Operations of ours that the run replaces, or ends because the sources have none.
	endByRun = `UPDATE operations SET ending = iif(s.operation IS NOT NULL AND s.ending = '', 'replaced', 'withdrawn'),
		ended_at = ?2, ended_by = ?3, detail = 'migration run ' || ?1, serving = ''
		FROM staged_phones s WHERE s.run = +?1 AND operations.device = s.device AND operations.ending = ''
		AND operations.id IS NOT s.kept_operation`

	// New operations are numbered in the order of their phones; phonesOfRun counts the same way.
	operationsOfRun = `INSERT INTO operations (id, revision, device, operation, auth_mode, key_size, completes_by, created_at,
		created_by, ended_at, ended_by, ending, result, detail, serving)
		SELECT ?4 + row_number() OVER (ORDER BY s.device), 0, s.device, s.operation, s.op_auth_mode, s.op_key_size, s.completes_by,
		coalesce(s.created_at, ?2), s.created_by, s.ended_at, s.ended_by, s.ending, s.op_result, s.detail, ''
		FROM staged_phones s WHERE s.run = +?1 AND s.operation IS NOT NULL ORDER BY s.device`

	phonesOfRun = `INSERT INTO phones (device, description, auth_mode, auth_string, key_size, security_mode, last_operation,
		lsc, lsc_known, mic, last_session, last_address, last_tls, result, result_mark, changes, changed_at, imported)
		SELECT s.device, s.description, s.auth_mode, s.auth_string, s.key_size, s.security_mode,
		iif(s.operation IS NULL, s.kept_operation, ?4 + count(s.operation) OVER (ORDER BY s.device)),
		NULL, s.lsc_known, s.mic, NULL, '', '', s.result,
		(SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = s.device), s.changes, NULL, s.record
		FROM staged_phones s WHERE s.run = +?1 ORDER BY s.device
		ON CONFLICT (device) DO UPDATE SET description = excluded.description, auth_mode = excluded.auth_mode,
		auth_string = excluded.auth_string, key_size = excluded.key_size, security_mode = excluded.security_mode,
		last_operation = excluded.last_operation, result = excluded.result, result_mark = excluded.result_mark,
		changes = excluded.changes, changed_at = NULL, imported = excluded.imported`

	attemptsOfRun = `UPDATE attempts SET known = 1 WHERE known = 0 AND device IN (SELECT device FROM staged_phones WHERE run = +?1)`

	anchorsOfRun = `INSERT INTO anchors (kind, subject, serial, not_before, not_after, der, sha256, key_sha256, origin, added_at)
		SELECT 'lsc', subject, serial, not_before, not_after, der, sha256, key_sha256, origin, ?2
		FROM staged_certificates WHERE run = +?1 AND use = 'anchor' ORDER BY id ON CONFLICT DO NOTHING`

	certificatesOfRun = `INSERT INTO certificates (device, kind, state, source, serial, subject, issuer, not_before, not_after, der, sha256,
		key_sha256, operation, recorded_at, confirmed_at, revoked_at, revoke_reason)
		SELECT device, 'lsc', 'issued', 'legacy', serial, subject, issuer, not_before, not_after, der, sha256,
		key_sha256, NULL, ?2, NULL, NULL, '' FROM staged_certificates WHERE run = +?1 AND use = 'lsc' ORDER BY id ON CONFLICT DO NOTHING`

	parametersOfRun = `INSERT INTO parameters (name, value, changed_at, changed_by)
		SELECT name, value, ?2, ?3 FROM staged_parameters WHERE run = +?1 ON CONFLICT DO NOTHING`
)

// ApplyRun makes a staged run visible, all of it in one transaction. CodeConflict where a phone has changed
// since the run was planned, or the run is not being staged.
//
// Records, kept lines and files are in their tables already and become visible with the run; only phones,
// operations, certificates and parameters are copied, by one statement each.
func (s *Store) ApplyRun(ctx context.Context, run int64, counts capf.MigrationCounts) error {
	summary, err := json.Marshal(counts)
	if err != nil {
		return fmt.Errorf("counts of migration run %d: %w", run, err)
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if err := checkStaged(tx, run); err != nil {
			return err
		}
		if err := checkUnchanged(tx, run); err != nil {
			return err
		}
		var by string
		if _, err := tx.First(store.Into(&by), `SELECT by FROM migration_runs WHERE id = +?1`, run); err != nil {
			return err
		}
		if err := s.makeVisible(tx, run, by); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE migration_runs SET applied_at = ?2, counts = ?3 WHERE id = +?1`, run, s.now().Unix(), string(summary))
		if isUnique(err) {
			return &capf.Error{Code: capf.CodeConflict, Message: "another run has taken over the same sources meanwhile", Err: err}
		}
		if err != nil {
			return err
		}
		return s.audit(tx, by, "migrate run", fmt.Sprintf("run %d", run), string(summary))
	})
}

// checkUnchanged compares the phones with those that the run was planned with.
func checkUnchanged(tx *store.Statements, run int64) error {
	const most = 3 // names in the error
	changed, err := store.Collect(tx, scanText, `SELECT s.device FROM staged_phones s LEFT JOIN phones p ON p.device = s.device
		WHERE s.run = +?1 AND p.changes IS NOT s.expected ORDER BY s.device LIMIT +?2`, run, most)
	if err != nil || len(changed) == 0 {
		return err
	}
	return &capf.Error{Code: capf.CodeConflict, Message: "phones have changed since the migration was planned: " + strings.Join(changed, ", "),
		Hint: "nothing is stored; run it again"}
}

func (s *Store) makeVisible(tx *store.Statements, run int64, by string) error {
	var highest int64
	if _, err := tx.First(store.Into(&highest), selectHighest); err != nil {
		return err
	}
	now := s.now().Unix()
	for _, step := range []struct {
		query     string
		arguments []any
	}{
		{endByRun, []any{run, now, by}},
		{operationsOfRun, []any{run, now, by, highest}},
		{phonesOfRun, []any{run, now, by, highest}},
		{attemptsOfRun, []any{run}},
		{anchorsOfRun, []any{run, now}},
		{certificatesOfRun, []any{run, now}},
		{parametersOfRun, []any{run, now, by}},
		// Authentication strings must not stay in what was staged. One run is staged at a time; to
		// delete without a condition is quick.
		{`DELETE FROM staged_phones`, nil},
		{`DELETE FROM staged_certificates`, nil},
		{`DELETE FROM staged_parameters`, nil},
	} {
		if _, err := tx.Exec(step.query, step.arguments...); err != nil {
			return err
		}
	}
	return nil
}
