package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// The statements that keep what RollBackRun goes back to, before anything is changed; ?1 is the run, ?2 the time, ?3 who
// ran it. Of phones that the run adds nothing is kept.
const (
	phonesBefore = `INSERT INTO phones_before (run, device, record, description, auth_mode, auth_string, string_until, key_size,
		security_mode, last_operation, pending_operation, last_session, result, result_mark, changed_at, imported)
		SELECT ?1, p.device, s.record, p.description, p.auth_mode, iif(o.completes_by < ?2, NULL, p.auth_string), o.completes_by, p.key_size,
		p.security_mode, p.last_operation, o.id, p.last_session, p.result, p.result_mark, p.changed_at, p.imported
		FROM staged_phones s CROSS JOIN phones p ON p.device = s.device
		LEFT JOIN operations o ON o.device = p.device AND o.ending = '' ORDER BY s.device`

	wrongStringsBefore = `INSERT INTO wrong_strings_before (run, device, operation, address, count, last_at)
		SELECT ?1, w.device, w.operation, w.address, w.count, w.last_at
		FROM wrong_strings w CROSS JOIN phones_before b ON b.run = +?1 AND b.device = w.device AND b.pending_operation = w.operation`

	parametersBefore = `INSERT INTO run_parameters (run, name, value, changed_at, changed_by)
		SELECT ?1, name, value, ?2, ?3 FROM staged_parameters WHERE name NOT IN (SELECT name FROM parameters)`
)

// The statements that make a staged run visible; the arguments are the same. Only one run is staged.
const (
	// Operations of ours that the run replaces, or ends because the sources have none.
	endOfRun = `UPDATE operations SET ending = e.ending, ended_at = ?2, ended_by = ?3, detail = 'migration run ' || ?1, serving = ''
		FROM (SELECT b.pending_operation AS id, iif(s.operation IS NOT NULL AND s.ending = '', 'replaced', 'withdrawn') AS ending
			FROM phones_before b CROSS JOIN staged_phones s ON s.device = b.device
			WHERE b.run = +?1 AND b.pending_operation IS NOT s.kept_operation) e
		WHERE operations.id = e.id`

	operationsOfRun = `INSERT INTO operations (revision, device, operation, auth_mode, key_size, completes_by, created_at, created_by,
		ended_at, ended_by, ending, result, detail, serving)
		SELECT 0, device, operation, op_auth_mode, op_key_size, completes_by, created_at, created_by,
		ended_at, ended_by, ending, op_result, detail, '' FROM staged_phones WHERE operation IS NOT NULL ORDER BY device`

	// The newest operation of a device is the one of the run, where that has one. Attempts of before are not newer than the
	// outcome. What was seen of a phone that is there already stays.
	phonesOfRun = `INSERT INTO phones (device, description, auth_mode, auth_string, key_size, security_mode, last_operation, lsc_known, mic,
		last_address, last_tls, result, result_mark, changes, imported)
		SELECT s.device, s.description, s.auth_mode, s.auth_string, s.key_size, s.security_mode,
		iif(s.operation IS NULL, s.kept_operation, (SELECT max(o.id) FROM operations o WHERE o.device = s.device)), s.lsc_known, s.mic,
		'', '', s.result, (SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = s.device),
		coalesce(s.expected + 1, 1 + abs(random() / 2)), s.record FROM staged_phones s WHERE true ORDER BY s.device
		ON CONFLICT (device) DO UPDATE SET description = excluded.description, auth_mode = excluded.auth_mode,
		auth_string = excluded.auth_string, key_size = excluded.key_size, security_mode = excluded.security_mode,
		last_operation = excluded.last_operation, result = excluded.result, result_mark = excluded.result_mark,
		changes = excluded.changes, changed_at = NULL, imported = excluded.imported`

	attemptsOfRun = `UPDATE attempts SET known = 1
		WHERE known = 0 AND EXISTS (SELECT 1 FROM staged_phones s WHERE s.device = attempts.device)`

	anchorsOfRun = `INSERT INTO anchors (kind, subject, serial, not_before, not_after, der, sha256, key_sha256, origin, added_at)
		SELECT 'lsc', subject, serial, not_before, not_after, der, sha256, key_sha256, origin, ?2
		FROM staged_certificates WHERE use = 'anchor' ORDER BY id ON CONFLICT DO NOTHING`

	certificatesOfRun = `INSERT INTO certificates (device, kind, state, source, serial, subject, issuer, not_before, not_after, der, sha256,
		key_sha256, operation, recorded_at, confirmed_at, revoked_at, revoke_reason)
		SELECT device, 'lsc', 'issued', 'legacy', serial, subject, issuer, not_before, not_after, der, sha256,
		key_sha256, NULL, ?2, NULL, NULL, '' FROM staged_certificates WHERE use = 'lsc' ORDER BY id ON CONFLICT DO NOTHING`

	parametersOfRun = `INSERT INTO parameters (name, value, changed_at, changed_by)
		SELECT name, value, ?2, ?3 FROM staged_parameters WHERE true ON CONFLICT DO NOTHING`
)

// ApplyRun makes a staged run visible, all of it in one transaction, and keeps what RollBackRun needs. For 200,000 phones
// that holds the write lock for some seconds.
//
// CodeConflict where a phone has changed since the run was planned, an earlier run was rolled back since, another run has
// taken over the same sources, or the run is not being staged.
func (s *Store) ApplyRun(ctx context.Context, run int64, counts capf.MigrationCounts) error {
	summary, err := json.Marshal(counts)
	if err != nil {
		return fmt.Errorf("counts of migration run %d: %w", run, err)
	}
	return s.onBulk(ctx, func(tx *store.Statements) error {
		return s.writeBulk(ctx, tx, func() error { return s.applyRun(tx, run, string(summary)) })
	})
}

func (s *Store) applyRun(tx *store.Statements, run int64, summary string) error {
	by, err := runner(tx, run)
	if err != nil {
		return err
	}
	if err := checkUnchanged(tx); err != nil {
		return err
	}
	before, err := readGiven(tx)
	if err != nil {
		return err
	}
	if err := makeVisible(tx, run, s.now().Unix(), by); err != nil {
		return err
	}
	after, err := readGiven(tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE migration_runs SET applied_at = ?2, counts = ?3, certificates_after = ?4, certificates_up_to = ?5,
		anchors_after = ?6, anchors_up_to = ?7 WHERE id = +?1`,
		run, s.now().Unix(), summary, before.certificate, after.certificate, before.anchor, after.anchor)
	if isUnique(err) {
		return &capf.Error{Code: capf.CodeConflict, Message: "another run has taken over the same sources meanwhile", Err: err}
	}
	if err != nil {
		return err
	}
	return s.audit(tx, by, "migrate run", fmt.Sprintf("run %d", run), summary)
}

// runner gives who runs a run that is being staged. CodeConflict where what it was planned with was rolled back.
func runner(tx *store.Statements, run int64) (by string, err error) {
	if err := checkStaged(tx, run); err != nil {
		return "", err
	}
	var outdated bool
	_, err = tx.First(store.Into(&by, &outdated), `SELECT by, rolled_back_at IS NOT NULL FROM migration_runs WHERE id = +?1`, run)
	if err == nil && outdated {
		err = &capf.Error{Code: capf.CodeConflict, Message: "an earlier run was rolled back since this one was planned",
			Hint: "nothing is stored; run it again"}
	}
	return by, err
}

const selectChanged = `SELECT s.device FROM staged_phones s LEFT JOIN phones p ON p.device = s.device
	WHERE p.changes IS NOT s.expected ORDER BY s.device LIMIT 3`

// checkUnchanged gives CodeConflict, with the first names, where phones are not as the run was planned with them: they have
// changed, are gone, or were added.
func checkUnchanged(tx *store.Statements) error {
	changed, err := store.Collect(tx, scanText, selectChanged)
	if err == nil && len(changed) > 0 {
		err = &capf.Error{Code: capf.CodeConflict, Hint: "nothing is stored; run it again",
			Message: "phones have changed since the migration was planned: " + strings.Join(changed, ", ")}
	}
	return err
}

// given are the highest IDs that were given away.
type given struct{ certificate, anchor int64 }

func readGiven(tx *store.Statements) (g given, err error) {
	_, err = tx.First(store.Into(&g.certificate, &g.anchor), `SELECT coalesce(max(iif(name = 'certificates', seq, 0)), 0),
		coalesce(max(iif(name = 'anchors', seq, 0)), 0) FROM sqlite_sequence`)
	return g, err
}

func makeVisible(tx *store.Statements, run, now int64, by string) error {
	return executeAll(tx, []step{
		{phonesBefore, []any{run, now}},
		{wrongStringsBefore, []any{run}},
		{parametersBefore, []any{run, now, by}},
		{endOfRun, []any{run, now, by}},
		{operationsOfRun, nil},
		{phonesOfRun, nil},
		{attemptsOfRun, nil},
		{anchorsOfRun, []any{nil, now}},
		{certificatesOfRun, []any{nil, now}},
		{parametersOfRun, []any{nil, now, by}},
		// Authentication strings must not stay in what was staged.
		{`DELETE FROM staged_phones`, nil},
		{`DELETE FROM staged_certificates`, nil},
		{`DELETE FROM staged_parameters`, nil},
	})
}
