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
	// are pending SQLite would go through all that are.
	endByRun = `UPDATE operations SET ending = (SELECT e.ending FROM staged_endings e WHERE e.id = operations.id),
		ended_at = ?2, ended_by = ?3, detail = 'migration run ' || ?1, serving = '' WHERE id IN (SELECT id FROM staged_endings)`

	// Phones that are as their images have them, which finds those that are not on the way: to look at all of them before
	// takes half as long as to write them. Offered as rows that are there already, since SQLite would gather what an UPDATE
	// takes from other tables first. A phone that is not there becomes a row that selectGone finds.
	phonesOfRun = `INSERT INTO phones (device, description, auth_mode, auth_string, key_size, security_mode, last_operation, lsc_known, mic,
		last_session, last_address, last_tls, result, result_mark, changes, imported)
		SELECT s.device, s.description, s.auth_mode, s.auth_string, s.key_size, s.security_mode, s.last_operation, 'gone', '',
		b.last_session, '', '', s.result, b.result_mark, s.expected + 1, s.record
		FROM staged_phones s CROSS JOIN phones_before b ON b.run = +?1 AND b.device = s.device WHERE s.run = +?1
		ON CONFLICT (device) DO UPDATE SET description = excluded.description, auth_mode = excluded.auth_mode,
		auth_string = excluded.auth_string, key_size = excluded.key_size, security_mode = excluded.security_mode,
		last_operation = excluded.last_operation, result = excluded.result,
		result_mark = (SELECT coalesce(max(a.id), 0) FROM attempts a WHERE a.device = phones.device),
		changes = excluded.changes, changed_at = NULL, imported = excluded.imported
		WHERE phones.changes = excluded.changes - 1 AND phones.last_session IS excluded.last_session
		AND phones.result_mark = excluded.result_mark`

	selectGone = `SELECT device FROM phones WHERE lsc_known = 'gone' LIMIT +?1`

	// Those of devices that are no phones are few.
	attemptsOfRun = `UPDATE attempts SET known = 1 WHERE known = 0 AND device IN (SELECT s.device FROM attempts a
		CROSS JOIN staged_phones s ON s.device = a.device WHERE a.known = 0 AND s.run = +?1)`

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
		FROM wrong_strings w CROSS JOIN phones_before b ON b.run = +?1 AND b.device = w.device AND b.pending_operation = w.operation`

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
	if err := s.updatePhones(tx, added); err != nil {
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

// updatePhones writes the phones that are updated. CodeConflict where one is not as the run was planned with it, or one
// that is new has been added.
func (s *Store) updatePhones(tx *store.Statements, of newPhones) error {
	written, err := tx.Exec(phonesOfRun, of.run)
	if err != nil {
		return err
	}
	changed, err := of.gone(tx)
	if err == nil && len(changed) == 0 {
		changed, err = of.addedMeanwhile(tx, mostNamed)
	}
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		return changedSince(changed)
	}
	if written != of.updated {
		return s.updateOutdated(tx, of.run)
	}
	return nil
}

func makeVisible(tx *store.Statements, run, now int64, by string) error {
	for _, step := range []struct {
		query     string
		arguments []any
	}{
		{wrongStringsBefore, []any{run}},
		{parametersBefore, []any{run, now, by}},
		{endByRun, []any{run, now, by}},
		{attemptsOfRun, []any{run}},
		{anchorsOfRun, []any{run, now}},
		{certificatesOfRun, []any{run, now}},
		{parametersOfRun, []any{run, now, by}},
		// Authentication strings must not stay in what was staged. One run is staged at a time; to
		// delete without a condition is quick.
		{`DELETE FROM staged_phones`, nil},
		{`DELETE FROM staged_endings`, nil},
		{`DELETE FROM staged_certificates`, nil},
		{`DELETE FROM staged_parameters`, nil},
	} {
		if _, err := tx.Exec(step.query, step.arguments...); err != nil {
			return err
		}
	}
	return nil
}
