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

// The statements that keep what RollBackRun goes back to, before anything is changed; parameters as above.
const (
	// What a run adds needs no image, so that a first run of many phones costs nothing here.
	phonesBefore = `INSERT INTO phones_before (run, device, record, description, auth_mode, auth_string, string_until, key_size,
		security_mode, last_operation, pending_operation, last_session, result, result_mark, changed_at, imported)
		SELECT ?1, p.device, s.record, p.description, p.auth_mode, iif(o.completes_by < ?2, NULL, p.auth_string), o.completes_by, p.key_size,
		p.security_mode, p.last_operation, o.id, p.last_session, p.result, p.result_mark, p.changed_at, p.imported
		FROM staged_phones s CROSS JOIN phones p ON p.device = s.device
		LEFT JOIN operations o ON o.device = p.device AND o.ending = ''
		WHERE s.run = +?1 AND s.expected IS NOT NULL ORDER BY p.device`

	wrongStringsBefore = `INSERT INTO wrong_strings_before (run, device, operation, address, count, last_at)
		SELECT ?1, w.device, w.operation, w.address, w.count, w.last_at
		FROM wrong_strings w JOIN phones_before b ON b.run = +?1 AND b.device = w.device AND b.pending_operation = w.operation`

	parametersBefore = `INSERT INTO run_parameters (run, name, value, changed_at, changed_by)
		SELECT ?1, name, value, ?2, ?3 FROM staged_parameters WHERE run = +?1 AND name NOT IN (SELECT name FROM parameters)`

	selectGiven = `SELECT coalesce(max(iif(name = 'certificates', seq, 0)), 0), coalesce(max(iif(name = 'anchors', seq, 0)), 0)
		FROM sqlite_sequence`
)

// given are the highest IDs that were given away.
type given struct{ certificate, anchor int64 }

func readGiven(tx *store.Statements) (g given, err error) {
	_, err = tx.First(store.Into(&g.certificate, &g.anchor), selectGiven)
	return g, err
}

// ApplyRun makes a staged run visible, all of it in one transaction, and keeps what RollBackRun needs.
// CodeConflict where a phone has changed since the run was planned, an earlier run was rolled back since, or
// the run is not being staged.
//
// Records, kept lines and files are in their tables already and become visible with the run, and so do phones that are
// new (newphones.go); only phones that are updated, certificates and parameters are copied, by one statement each.
func (s *Store) ApplyRun(ctx context.Context, run int64, counts capf.MigrationCounts) error {
	summary, err := json.Marshal(counts)
	if err != nil {
		return fmt.Errorf("counts of migration run %d: %w", run, err)
	}
	added, err := s.prepareApply(ctx, run)
	if err != nil {
		return err
	}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if err := checkStaged(tx, run); err != nil {
			return err
		}
		if err := checkUnchanged(tx, added); err != nil {
			return err
		}
		by, err := runner(tx, run)
		if err != nil {
			return err
		}
		if err := s.applyRun(tx, run, by, string(summary)); err != nil {
			return err
		}
		return added.show(tx, s.now().Unix())
	})
}

// runner gives who runs it. CodeConflict where what the run was planned with was rolled back.
func runner(tx *store.Statements, run int64) (by string, err error) {
	var outdated bool
	_, err = tx.First(store.Into(&by, &outdated), `SELECT by, rolled_back_at IS NOT NULL FROM migration_runs WHERE id = +?1`, run)
	if err == nil && outdated {
		err = &capf.Error{Code: capf.CodeConflict, Message: "an earlier run was rolled back since this one was planned",
			Hint: "nothing is stored; run it again"}
	}
	return by, err
}

func (s *Store) applyRun(tx *store.Statements, run int64, by, summary string) error {
	now := s.now().Unix()
	before, err := readGiven(tx)
	if err != nil {
		return err
	}
	if err := makeVisible(tx, run, now, by); err != nil {
		return err
	}
	after, err := readGiven(tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE migration_runs SET applied_at = ?2, counts = ?3, certificates_after = ?4, certificates_up_to = ?5,
		anchors_after = ?6, anchors_up_to = ?7 WHERE id = +?1`,
		run, now, summary, before.certificate, after.certificate, before.anchor, after.anchor)
	if isUnique(err) {
		return &capf.Error{Code: capf.CodeConflict, Message: "another run has taken over the same sources meanwhile", Err: err}
	}
	if err != nil {
		return err
	}
	return s.audit(tx, by, "migrate run", fmt.Sprintf("run %d", run), summary)
}

// checkUnchanged compares the phones with those that the run was planned with.
func checkUnchanged(tx *store.Statements, added newPhones) error {
	const most = 3 // names in the error
	changed, err := store.Collect(tx, scanText, `SELECT s.device FROM staged_phones s LEFT JOIN phones p ON p.device = s.device
		WHERE s.run = +?1 AND p.changes IS NOT s.expected ORDER BY s.device LIMIT +?2`, added.run, most)
	if err == nil && len(changed) == 0 {
		changed, err = added.addedMeanwhile(tx, most)
	}
	if err != nil || len(changed) == 0 {
		return err
	}
	return &capf.Error{Code: capf.CodeConflict, Message: "phones have changed since the migration was planned: " + strings.Join(changed, ", "),
		Hint: "nothing is stored; run it again"}
}

func makeVisible(tx *store.Statements, run, now int64, by string) error {
	var highest int64
	if _, err := tx.First(store.Into(&highest), selectHighest); err != nil {
		return err
	}
	for _, step := range []struct {
		query     string
		arguments []any
	}{
		{phonesBefore, []any{run, now}},
		{wrongStringsBefore, []any{run}},
		{parametersBefore, []any{run, now, by}},
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
