package sqlite

import (
	"crypto/x509"

	"capf/runtime/capf"
	"capf/runtime/store"
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
