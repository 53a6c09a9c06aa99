package sqlite

import (
	"capf/runtime/store"
)

// What is to be restored and what stays is worked out in temporary tables, which take no lock: `kept` is why
// something stays, NULL for what is restored. No string is in them.
var createUndoTables = []string{
	`CREATE TEMP TABLE IF NOT EXISTS undo_taken (device TEXT PRIMARY KEY, added INTEGER, record INTEGER, last_operation INTEGER,
		last_session INTEGER, pending_operation INTEGER) WITHOUT ROWID`,
	`CREATE TEMP TABLE IF NOT EXISTS undo_phones (device TEXT PRIMARY KEY, added INTEGER, kept TEXT, pending_operation INTEGER,
		run_operation INTEGER, at INTEGER, operation TEXT, ending TEXT, other_run INTEGER) WITHOUT ROWID`,
	`CREATE TEMP TABLE IF NOT EXISTS undo_issued (device TEXT PRIMARY KEY) WITHOUT ROWID`,
	`CREATE TEMP TABLE IF NOT EXISTS undo_certificates (id INTEGER PRIMARY KEY, kept TEXT)`,
	`CREATE TEMP TABLE IF NOT EXISTS undo_anchors (id INTEGER PRIMARY KEY, kept TEXT, phones INTEGER)`,
	`CREATE TEMP TABLE IF NOT EXISTS undo_links (issuer TEXT, certificate INTEGER, PRIMARY KEY (issuer, certificate)) WITHOUT ROWID`,
	`CREATE TEMP TABLE IF NOT EXISTS undo_parameters (name TEXT PRIMARY KEY, kept TEXT) WITHOUT ROWID`,
	`DELETE FROM undo_taken`, `DELETE FROM undo_phones`, `DELETE FROM undo_issued`, `DELETE FROM undo_certificates`, `DELETE FROM undo_anchors`,
	`DELETE FROM undo_links`, `DELETE FROM undo_parameters`,
}

func (r *rollback) createUndo() error {
	for _, query := range createUndoTables {
		if _, err := r.tx.Exec(query); err != nil {
			return err
		}
	}
	return nil
}

// Why something stays, as it stands in the store; rollback_kept.go has the words.
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

// The statements that read what the run took over: once it is applied, that stays as it is. ?1 is the run.
const (
	takeUpdated = `INSERT INTO undo_taken (device, added, record, last_operation, last_session, pending_operation)
		SELECT device, 0, record, last_operation, last_session, pending_operation FROM phones_before WHERE run = +?1 ORDER BY device`

	// The phones that the run added are those of its records, without an image.
	takeAdded = `INSERT INTO undo_taken (device, added, record) SELECT i.device, 1, i.id FROM import_records i
		WHERE i.run = +?1 AND i.verdict IN ('new', 'updated')
		AND NOT EXISTS (SELECT 1 FROM phones_before b WHERE b.run = +?1 AND b.device = i.device)`
)

// take reads, without a lock, the phones that the run has taken over.
func (r *rollback) take() error {
	for _, query := range []string{takeUpdated, takeAdded} {
		if _, err := r.tx.Exec(query, r.Run); err != nil {
			return err
		}
	}
	return nil
}

// The statements that decide; ?1 is the run, ?2 and ?3 what the IDs of its certificates came after and went up to.
const (
	// Those that were issued since, for whatever operation.
	decideIssued = `INSERT INTO undo_issued (device) SELECT DISTINCT device FROM certificates WHERE id > ?3 AND source = 'issued'`

	// A phone is as the run made it where nobody has changed it (changed_at), it has begun no session, and it is
	// still taken from the same record. The sweeper of deadlines leaves all three alone. The operation of such a phone is
	// the run's, unless it is the one of before.
	decidePhones = `INSERT INTO undo_phones (device, added, kept, pending_operation, run_operation, at, operation, ending, other_run)
		SELECT t.device, t.added, CASE
		WHEN p.device IS NULL THEN 'removed'
		WHEN u.device IS NOT NULL THEN 'issued'
		WHEN p.imported IS NULL THEN 'added-again'
		WHEN p.imported <> t.record THEN 'taken-again'
		WHEN p.changed_at IS NOT NULL THEN 'changed'
		WHEN p.last_session IS NOT t.last_session OR (p.last_operation IS NOT t.last_operation AND o.session_at IS NOT NULL) THEN 'called' END,
		t.pending_operation, iif(p.last_operation IS NOT t.last_operation, p.last_operation, NULL), coalesce(p.changed_at, p.last_session),
		o.operation, iif(o.ended_at = p.changed_at AND o.session_at IS NOT NULL, o.ending, ''),
		iif(p.imported <> t.record, (SELECT i.run FROM import_records i WHERE i.id = p.imported), NULL)
		FROM undo_taken t LEFT JOIN phones p ON p.device = t.device LEFT JOIN operations o ON o.id = p.last_operation
		LEFT JOIN undo_issued u ON u.device = t.device`

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

// decide fills the temporary tables but that of anchors.
func (r *rollback) decide() error {
	after, upTo := r.of.after.certificate, r.of.upTo.certificate
	for _, step := range []struct {
		query     string
		arguments []any
	}{
		{decideIssued, []any{nil, nil, upTo}},
		{decidePhones, nil},
		{forgetGone, nil},
		{decideCertificates, []any{nil, after, upTo}},
		{decideParameters, []any{r.Run}},
	} {
		if _, err := r.tx.Exec(step.query, step.arguments...); err != nil {
			return err
		}
	}
	return nil
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
