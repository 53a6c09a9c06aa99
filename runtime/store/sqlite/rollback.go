package sqlite

import (
	"context"
	"crypto/x509"
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

// What a rollback restores and what stays is worked out in temporary tables, for the rollback and for a trial: `kept` is
// why something stays, NULL for what is restored. No string is in them.
var createUndoTables = []step{
	{query: `CREATE TEMP TABLE IF NOT EXISTS undo_phones (device TEXT PRIMARY KEY, added INTEGER, kept TEXT, pending_operation INTEGER,
		run_operation INTEGER, at INTEGER, operation TEXT, ending TEXT, other_run INTEGER) WITHOUT ROWID`},
	{query: `CREATE TEMP TABLE IF NOT EXISTS undo_certificates (id INTEGER PRIMARY KEY, kept TEXT)`},
	{query: `CREATE TEMP TABLE IF NOT EXISTS undo_anchors (id INTEGER PRIMARY KEY, kept TEXT, phones INTEGER)`},
	{query: `CREATE TEMP TABLE IF NOT EXISTS undo_links (issuer TEXT, certificate INTEGER, PRIMARY KEY (issuer, certificate)) WITHOUT ROWID`},
	{query: `CREATE TEMP TABLE IF NOT EXISTS undo_parameters (name TEXT PRIMARY KEY, kept TEXT) WITHOUT ROWID`},
	{query: `DELETE FROM undo_phones`}, {query: `DELETE FROM undo_certificates`}, {query: `DELETE FROM undo_anchors`},
	{query: `DELETE FROM undo_links`}, {query: `DELETE FROM undo_parameters`},
}

// decideRollback fills the temporary tables, and says what is restored and what stays.
func (s *Store) decideRollback(tx *store.Statements, r *rollback) error {
	r.tx, r.At = tx, s.now()
	if err := r.find(); err != nil {
		return err
	}
	if err := executeAll(tx, createUndoTables); err != nil {
		return err
	}
	after, upTo := r.after.certificate, r.upTo.certificate
	err := executeAll(tx, []step{
		{decidePhones, []any{r.Run, nil, upTo}},
		{forgetGone, nil},
		{decideCertificates, []any{nil, after, upTo}},
		{decideParameters, []any{r.Run}},
	})
	if err != nil {
		return err
	}
	if err := r.decideAnchors(); err != nil {
		return err
	}
	if err := r.count(); err != nil {
		return err
	}
	return r.list()
}

// Why something stays, as the store keeps it; keptRow has the words.
const (
	keptRemoved   = "removed"
	keptAdded     = "added-again"
	keptTaken     = "taken-again"
	keptIssued    = "issued"
	keptChanged   = "changed"
	keptCalled    = "called"
	keptConfirmed = "confirmed"
	keptRevoked   = "revoked"
	keptHangs     = "hangs"
	keptSet       = "set"
)

// The statements that decide; ?1 is the run, ?2 and ?3 what the IDs of its certificates came after and went up to.
const (
	// The phones that the run added are those of its records without an image. A phone is as the run made it where nobody has
	// changed it (changed_at), no certificate was issued to it, it has begun no session, and it is still taken from the same
	// record. The sweeper of deadlines leaves all of that alone. The operation of such a phone is the run's, unless it is the
	// one of before.
	decidePhones = `INSERT INTO undo_phones (device, added, kept, pending_operation, run_operation, at, operation, ending, other_run)
		WITH taken (device, added, record, last_operation, last_session, pending_operation) AS (
			SELECT device, 0, record, last_operation, last_session, pending_operation FROM phones_before WHERE run = +?1
			UNION ALL SELECT i.device, 1, i.id, NULL, NULL, NULL FROM import_records i
			WHERE i.run = +?1 AND i.verdict IN ('new', 'updated')
			AND NOT EXISTS (SELECT 1 FROM phones_before b WHERE b.run = +?1 AND b.device = i.device))
		SELECT t.device, t.added, CASE
		WHEN p.device IS NULL THEN 'removed'
		WHEN EXISTS (SELECT 1 FROM certificates c WHERE c.device = t.device AND c.id > ?3 AND c.source = 'issued') THEN 'issued'
		WHEN p.imported IS NULL THEN 'added-again'
		WHEN p.imported <> t.record THEN 'taken-again'
		WHEN p.changed_at IS NOT NULL THEN 'changed'
		WHEN p.last_session IS NOT t.last_session OR (p.last_operation IS NOT t.last_operation AND o.session_at IS NOT NULL) THEN 'called' END,
		t.pending_operation, iif(p.last_operation IS NOT t.last_operation, p.last_operation, NULL), coalesce(p.changed_at, p.last_session),
		o.operation, iif(o.ended_at = p.changed_at AND o.session_at IS NOT NULL, o.ending, ''),
		iif(p.imported <> t.record, (SELECT i.run FROM import_records i WHERE i.id = p.imported), NULL)
		FROM taken t LEFT JOIN phones p ON p.device = t.device LEFT JOIN operations o ON o.id = p.last_operation`

	// Of one that was removed since, and of which nothing is left, there is nothing to say.
	forgetGone = `DELETE FROM undo_phones WHERE added AND kept = 'removed'
		AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.device = undo_phones.device)`

	decideCertificates = `INSERT INTO undo_certificates (id, kept) SELECT c.id, CASE
		WHEN c.state = 'revoked' THEN 'revoked'
		WHEN c.state = 'confirmed' OR EXISTS (SELECT 1 FROM phones p WHERE p.device = c.device AND p.lsc = c.id) THEN 'confirmed' END
		FROM certificates c WHERE c.id > +?2 AND c.id <= +?3`

	decideParameters = `INSERT INTO undo_parameters (name, kept)
		SELECT r.name, iif(p.value = r.value AND p.changed_at = r.changed_at AND p.changed_by = r.changed_by, NULL, 'set')
		FROM run_parameters r LEFT JOIN parameters p ON p.name = r.name WHERE r.run = +?1`
)

const (
	insertUndoLink = `INSERT INTO undo_links (issuer, certificate) VALUES (?1, ?2) ON CONFLICT DO NOTHING`

	// Counted as PhonesByIssuer does, of what will be there after the rollback.
	countHanging = `SELECT count(DISTINCT c.device)
		FROM (SELECT certificate FROM certificate_issuers WHERE issuer = +?1 UNION ALL SELECT certificate FROM undo_links WHERE issuer = +?1) i
		JOIN certificates c ON c.id = i.certificate JOIN phones p ON p.device = c.device
		WHERE c.kind = 'lsc' AND c.state <> 'revoked' AND p.lsc_known <> 'none'
		AND NOT EXISTS (SELECT 1 FROM undo_certificates u WHERE u.id = c.id AND u.kept IS NULL)
		AND NOT EXISTS (SELECT 1 FROM undo_phones u WHERE u.device = c.device AND u.added AND u.kept IS NULL)`

	insertUndoAnchor = `INSERT INTO undo_anchors (id, kept, phones) VALUES (?1, iif(?2 > 0, 'hangs', NULL), ?2)`
)

// decideAnchors keeps those anchors of the run on which LSCs of phones hang.
func (r *rollback) decideAnchors() error {
	anchors, err := store.Collect(r.tx, scanAnchor, selectRunAnchors, r.Run)
	if err != nil {
		return err
	}
	for _, anchor := range anchors {
		if err := r.link(anchor); err != nil {
			return err
		}
		var phones int
		if _, err := r.tx.First(store.Into(&phones), countHanging, anchor.SHA256); err != nil {
			return err
		}
		if _, err := r.tx.Exec(insertUndoAnchor, anchor.ID, phones); err != nil {
			return err
		}
	}
	return nil
}

// link finds, among the certificates that the anchor was not held against yet, those that it has signed: in a
// rollback what came since LinkIssuers, in a trial perhaps all.
func (r *rollback) link(anchor capf.Anchor) error {
	issuer, err := x509.ParseCertificate(anchor.DER)
	if err != nil {
		return &capf.Error{Code: capf.CodeInternal, Message: "trust anchor " + anchor.SHA256, Err: err}
	}
	var done int64
	if _, err := r.tx.First(store.Into(&done), selectProgress, anchor.SHA256); err != nil {
		return err
	}
	for {
		page, err := store.Collect(r.tx, scanUnjudged, selectUnjudged, done, issuer.Subject.String(), pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		done = page[len(page)-1].id
		for _, id := range signedBy(issuer, page) {
			if _, err := r.tx.Exec(insertUndoLink, anchor.SHA256, id); err != nil {
				return err
			}
		}
	}
}

const countRollback = `SELECT
	(SELECT count(*) FROM undo_phones WHERE added AND kept IS NULL),
	(SELECT count(*) FROM undo_phones WHERE NOT added AND kept IS NULL),
	(SELECT count(run_operation) FROM undo_phones WHERE kept IS NULL),
	(SELECT count(*) FROM undo_phones u JOIN operations o ON o.id = u.pending_operation
		WHERE u.kept IS NULL AND o.ending IN ('replaced', 'withdrawn')),
	(SELECT count(*) FROM undo_certificates WHERE kept IS NULL),
	(SELECT count(*) FROM undo_anchors WHERE kept IS NULL),
	(SELECT count(*) FROM undo_parameters WHERE kept IS NULL)`

func (r *rollback) count() error {
	c := &r.Counts
	_, err := r.tx.First(store.Into(&c.PhonesRemoved, &c.PhonesRestored, &c.OperationsRemoved, &c.OperationsReopened,
		&c.Certificates, &c.Anchors, &c.Parameters), countRollback)
	return err
}

// In the order in which they are shown: a certificate and an anchor under their serial numbers.
const selectKept = `SELECT 'phone', device, '', kept, at, coalesce(operation, ''), coalesce(ending, ''), coalesce(other_run, 0)
	FROM undo_phones WHERE kept IS NOT NULL
	UNION ALL SELECT * FROM (SELECT 'certificate', c.serial, c.device, u.kept, coalesce(c.revoked_at, c.confirmed_at), '', c.revoke_reason, 0
		FROM undo_certificates u JOIN certificates c ON c.id = u.id WHERE u.kept IS NOT NULL ORDER BY c.device, c.id)
	UNION ALL SELECT * FROM (SELECT 'anchor', a.serial, a.subject, u.kept, NULL, '', '', u.phones
		FROM undo_anchors u JOIN anchors a ON a.id = u.id WHERE u.kept IS NOT NULL ORDER BY a.id)
	UNION ALL SELECT 'parameter', u.name, '', u.kept, p.changed_at, '', coalesce(p.changed_by, ''), 0
		FROM undo_parameters u LEFT JOIN parameters p ON p.name = u.name WHERE u.kept IS NOT NULL`

// keptRow is what is known of something that stays.
type keptRow struct {
	kind       capf.RollbackKind
	name, of   string
	why        string
	at         sql.NullInt64
	operation  string
	ending     string // of an operation that the phone has ended; for a parameter who set it, for a certificate why it was revoked
	otherOrAll int64  // run, or number of phones
}

// list gives what stays, in words.
func (r *rollback) list() error {
	r.Kept = []capf.RollbackKept{}
	return r.tx.Each(func(cursor store.Scanner) error {
		var row keptRow
		err := cursor.Scan(&row.kind, &row.name, &row.of, &row.why, &row.at, &row.operation, &row.ending, &row.otherOrAll)
		r.Kept = append(r.Kept, capf.RollbackKept{Kind: row.kind, Name: row.name, Reason: row.reason()})
		return err
	}, selectKept)
}

func (k *keptRow) reason() string {
	at := ""
	if k.at.Valid {
		at = ", at " + capf.FormatTime(store.Time(k.at))
	}
	switch k.why {
	case keptRemoved:
		return "was removed here since; it stays removed, with the history of its operations"
	case keptAdded:
		return "was removed and added again here since"
	case keptTaken:
		return fmt.Sprintf("run %d took it over since and kept it", k.otherOrAll)
	case keptIssued:
		return "an LSC was issued to it since"
	case keptChanged:
		return k.changed() + at
	case keptCalled:
		return "has called since" + at
	case keptConfirmed:
		return "the phone " + k.of + " has shown it since" + at
	case keptRevoked:
		return fmt.Sprintf("of %s, was revoked since (%s)%s", k.of, k.ending, at)
	case keptHangs:
		return fmt.Sprintf("%s: LSCs hang on it, of phones: %d", k.of, k.otherOrAll)
	case keptSet:
		return "was set here since by " + k.ending + at
	}
	return k.why
}

// changed says whether the phone has ended its operation, or it was something else.
func (k *keptRow) changed() string {
	if k.ending != "" {
		return fmt.Sprintf("has ended its operation since (%s %s)", k.operation, k.ending)
	}
	return "was changed here since"
}
