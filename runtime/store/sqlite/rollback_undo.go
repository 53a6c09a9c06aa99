package sqlite

import (
	"crypto/x509"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
