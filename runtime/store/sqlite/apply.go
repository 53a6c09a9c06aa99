package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// The statements that make a staged run visible; ?1 is the run, ?2 the time, ?3 who ran it.
const (
	// Operations of ours that the run replaces, or ends because the sources have none. Chosen by their IDs: by whether they
	// are pending SQLite would go through all that are, and through all that is staged for each.
	endByRun = `UPDATE operations SET
		ending = iif((SELECT s.replaces FROM staged_phones s WHERE s.device = operations.device), 'replaced', 'withdrawn'),
		ended_at = ?2, ended_by = ?3, detail = 'migration run ' || ?1, serving = ''
		WHERE id IN (SELECT b.pending_operation FROM staged_phones s CROSS JOIN phones_before b ON b.run = +?1 AND b.device = s.device
		WHERE s.run = +?1 AND b.pending_operation IS NOT s.last_operation)`

	phonesOfRun = `UPDATE phones SET description = s.description, auth_mode = s.auth_mode, auth_string = s.auth_string,
		key_size = s.key_size, security_mode = s.security_mode, last_operation = s.last_operation, result = s.result,
		result_mark = (SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = s.device),
		changes = s.expected + 1, changed_at = NULL, imported = s.record
		FROM staged_phones s WHERE s.run = +?1 AND phones.device = s.device`

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

// The statements that keep what RollBackRun goes back to, beside the phones (before.go), before anything is changed; parameters
// as above.
const (
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
// Records, kept lines and files are in their tables already and become visible with the run, and so do new operations and
// phones that are new (newphones.go); only phones that are updated, certificates and parameters are copied, by one
// statement each.
func (s *Store) ApplyRun(ctx context.Context, run int64, counts capf.MigrationCounts) error {
	summary, err := json.Marshal(counts)
	if err != nil {
		return fmt.Errorf("counts of migration run %d: %w", run, err)
	}
	added, err := s.prepareApply(ctx, run)
	if err != nil {
		return err
	}
	return s.onBulk(ctx, func(tx *store.Statements) error {
		return s.writeUnchecked(ctx, tx, func() error {
			if err := s.applyRun(tx, added, string(summary)); err != nil {
				return err
			}
			return added.show(tx, s.now().Unix())
		})
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

func (s *Store) applyRun(tx *store.Statements, added newPhones, summary string) error {
	run, now := added.run, s.now().Unix()
	if err := checkStaged(tx, run); err != nil {
		return err
	}
	if err := s.checkUnchanged(tx, added); err != nil {
		return err
	}
	by, err := runner(tx, run)
	if err != nil {
		return err
	}
	return s.writeRun(tx, run, now, by, summary)
}

// writeRun writes what the run changes, and that it did.
func (s *Store) writeRun(tx *store.Statements, run, now int64, by, summary string) error {
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
func (s *Store) checkUnchanged(tx *store.Statements, added newPhones) error {
	if err := s.refreshBefore(tx, added.run); err != nil {
		return err
	}
	there, err := added.addedMeanwhile(tx, mostNamed)
	if err == nil && len(there) > 0 {
		err = changedSince(there)
	}
	return err
}

func makeVisible(tx *store.Statements, run, now int64, by string) error {
	for _, step := range []struct {
		query     string
		arguments []any
	}{
		{wrongStringsBefore, []any{run}},
		{parametersBefore, []any{run, now, by}},
		{endByRun, []any{run, now, by}},
		{phonesOfRun, []any{run}},
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
