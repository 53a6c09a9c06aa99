package sqlite

import (
	"context"
	"crypto/x509"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Trust anchors, what each has signed, and the CAPF certificate that becomes one.

// AddAnchors adds trust anchors, all or none, and gives those that were not there yet, with their IDs. Subject,
// serial number, dates and digests are read from the DER; a zero AddedAt is set to now.
func (s *Store) AddAnchors(ctx context.Context, anchors []capf.Anchor, actor string) (added []capf.Anchor, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		added = nil
		for _, anchor := range anchors {
			id, err := s.addAnchor(tx, &anchor, actor)
			if err != nil {
				return err
			}
			if id != 0 {
				anchor.ID = id
				added = append(added, anchor)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return added, nil
}

// addAnchor gives 0 for one that is there already.
func (s *Store) addAnchor(tx *store.Statements, anchor *capf.Anchor, actor string) (int64, error) {
	read, err := capf.ReadCertificate(anchor.DER)
	if err != nil {
		return 0, &capf.Error{Code: capf.CodeInvalid, Message: "trust anchor", Err: err}
	}
	anchor.Subject, anchor.Serial, anchor.SHA256 = read.Subject, read.Serial, read.SHA256
	anchor.NotBefore, anchor.NotAfter = store.WholeSeconds(read.NotBefore), store.WholeSeconds(read.NotAfter)
	if anchor.AddedAt.IsZero() {
		anchor.AddedAt = s.now()
	}
	var known int64
	there, err := tx.First(store.Into(&known), `SELECT id FROM anchors WHERE kind = +?1 AND sha256 = +?2`, string(anchor.Kind), anchor.SHA256)
	if err != nil || there {
		return 0, err
	}
	id, err := tx.Insert(`INSERT INTO anchors (kind, subject, serial, not_before, not_after, der, sha256, key_sha256, origin, added_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`, string(anchor.Kind), anchor.Subject, anchor.Serial, anchor.NotBefore.Unix(),
		anchor.NotAfter.Unix(), anchor.DER, anchor.SHA256, read.KeySHA256, anchor.Origin, anchor.AddedAt.Unix())
	if err != nil {
		return 0, err
	}
	return id, s.audit(tx, actor, "anchor add", anchor.Serial, describeAnchor(*anchor)+fmt.Sprintf(" origin=%q", anchor.Origin))
}

func describeAnchor(anchor capf.Anchor) string {
	return fmt.Sprintf("kind=%s subject=%q sha256=%s", anchor.Kind, anchor.Subject, anchor.SHA256)
}

// RemoveAnchor removes a trust anchor by its ID. CodeNotFound where there is none. Whether phones still hang on
// it is for the caller to ask first (PhonesByIssuer); detail, such as their number, goes into the audit trail.
func (s *Store) RemoveAnchor(ctx context.Context, id int64, detail, actor string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		found, err := store.Collect(tx, scanAnchor, `SELECT id, kind, subject, serial, not_before, not_after, der, sha256, origin, added_at
			FROM anchors WHERE id = +?1`, id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("trust anchor %d is not in the store", id), Hint: "see `capf anchor list`"}
		}
		if _, err := tx.Exec(`DELETE FROM anchors WHERE id = +?1`, id); err != nil {
			return err
		}
		return s.audit(tx, actor, "anchor remove", found[0].Serial, describeAnchor(found[0])+" "+detail)
	})
}

// AddAudit adds an entry to the audit trail for what was done outside the store.
func (s *Store) AddAudit(ctx context.Context, actor, action, subject, detail string) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error { return s.audit(tx, actor, action, subject, detail) })
}

const (
	selectProgress = `SELECT certificate FROM issuer_progress WHERE issuer = +?1`

	// Certificates are judged in the order of their IDs, in which they also become visible.
	selectUnjudged = `SELECT id, iif(issuer = ?2, der, NULL) FROM certificates WHERE id > +?1 ORDER BY id LIMIT +?3`

	insertIssuer = `INSERT INTO certificate_issuers (issuer, certificate) VALUES (?1, ?2) ON CONFLICT DO NOTHING`

	saveProgress = `INSERT INTO issuer_progress (issuer, certificate) VALUES (?1, ?2)
		ON CONFLICT (issuer) DO UPDATE SET certificate = max(certificate, excluded.certificate)`
)

// LinkIssuers finds which certificates the authorities have signed: the name of the issuer and the signature
// must be right (capf.FindIssuer). What was found once is kept, so that each certificate is verified once for
// an authority that bears its issuer's name.
func (s *Store) LinkIssuers(ctx context.Context, authorities []capf.Anchor) error {
	for _, authority := range authorities {
		if err := s.linkIssuer(ctx, authority); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) linkIssuer(ctx context.Context, authority capf.Anchor) error {
	issuer, err := x509.ParseCertificate(authority.DER)
	if err != nil {
		return &capf.Error{Code: capf.CodeInternal, Message: "trust anchor " + authority.SHA256, Err: err}
	}
	var done int64
	if _, err := s.reads.First(store.Into(&done), selectProgress, authority.SHA256); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := store.Collect(s.reads, scanUnjudged, selectUnjudged, done, issuer.Subject.String(), pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		done = page[len(page)-1].id
		if err := s.keepIssuer(ctx, authority.SHA256, signedBy(issuer, page), done); err != nil {
			return err
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// unjudged is a certificate that an authority has not been held against yet.
type unjudged struct {
	id  int64
	der []byte // nil: another name is its issuer's
}

func scanUnjudged(cursor store.Scanner) (one unjudged, err error) {
	err = cursor.Scan(&one.id, &one.der)
	return one, err
}

// signedBy gives the IDs of those that the authority has signed.
func signedBy(issuer *x509.Certificate, page []unjudged) (ids []int64) {
	for _, one := range page {
		if one.der == nil {
			continue
		}
		certificate, err := x509.ParseCertificate(one.der)
		if err != nil {
			continue // of an older CAPF, perhaps: nobody could show it here
		}
		if _, err := capf.FindIssuer(certificate, []*x509.Certificate{issuer}); err == nil {
			ids = append(ids, one.id)
		}
	}
	return ids
}

func (s *Store) keepIssuer(ctx context.Context, issuer string, ids []int64, done int64) error {
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		for _, id := range ids {
			if _, err := tx.Exec(insertIssuer, issuer, id); err != nil {
				return err
			}
		}
		_, err := tx.Exec(saveProgress, issuer, done)
		return err
	})
}

// What a phone may hold of LSCs is every one that is not revoked, unless it is known to have none: an earlier
// one is revoked only when the phone has confirmed another.
const countByIssuer = `SELECT i.issuer, count(DISTINCT c.device)
	FROM certificate_issuers i JOIN certificates c ON c.id = i.certificate JOIN phones p ON p.device = c.device
	WHERE c.kind = +?1 AND c.state <> 'revoked' AND (c.kind <> 'lsc' OR p.lsc_known <> 'none')
	GROUP BY i.issuer`

// PhonesByIssuer counts, for each authority by the SHA-256 of its certificate, the phones of the store that
// hold, or may hold, a certificate of that kind which it has signed and which is not revoked. LinkIssuers
// comes first. Dates do not count.
func (s *Store) PhonesByIssuer(ctx context.Context, kind capf.CertificateKind) (map[string]int, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	err := s.reads.Each(func(cursor store.Scanner) error {
		var issuer string
		var count int
		err := cursor.Scan(&issuer, &count)
		counts[issuer] = count
		return err
	}, countByIssuer, string(kind))
	return counts, err
}

// What puts a CAPF certificate in force is a rename in the folder of the keys, of which the store knows nothing:
// the audit trail says before it what is about to be done, and after it that it was.
const (
	auditActivating = "ca activating"
	auditActivated  = "ca activate"
)

// KeepPastAuthority makes the CAPF certificate that is about to be replaced an anchor for LSCs, so that what it
// issued stays good, and notes in the audit trail who is about to activate which successor. Done twice it adds
// no second anchor; each attempt is an entry.
func (s *Store) KeepPastAuthority(ctx context.Context, past, successor *x509.Certificate, actor string) error {
	serial := capf.FormatSerial(successor.SerialNumber)
	anchor := capf.Anchor{Kind: capf.LSC, DER: past.Raw, Origin: "CAPF certificate before " + serial}
	return s.writer.Do(ctx, func(tx *store.Statements) error {
		if _, err := s.addAnchor(tx, &anchor, actor); err != nil {
			return err
		}
		return s.audit(tx, actor, auditActivating, serial, fmt.Sprintf("subject=%q after serial=%s subject=%q",
			successor.Subject, anchor.Serial, anchor.Subject))
	})
}

const selectActivation = `SELECT at, actor, action, subject, detail FROM audit
	WHERE subject = +?1 AND action IN ('ca activating', 'ca activate') ORDER BY id`

// RecordActivation notes in the audit trail that a CAPF certificate is in force, under the name of who was about
// to activate it, and reports whether it did. It does so once, and never for one that nobody activated (the first).
// note says why it comes late, empty where it does not.
func (s *Store) RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (recorded bool, err error) {
	serial := capf.FormatSerial(inForce.SerialNumber)
	open, err := openActivation(s.reads, serial)
	if err != nil || open == nil {
		return false, err // as nearly always: nothing is written
	}
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		recorded = false
		open, err := openActivation(tx, serial)
		if err != nil || open == nil {
			return err
		}
		recorded = true
		if note != "" {
			open.Detail += fmt.Sprintf(" begun=%s: %s", capf.FormatTime(open.At), note)
		}
		return s.audit(tx, open.Actor, auditActivated, serial, open.Detail)
	})
	return recorded && err == nil, err
}

// openActivation gives the last entry about an activation of which the trail does not say that it was done; nil
// where there is none.
func openActivation(statements *store.Statements, serial string) (open *capf.AuditEntry, err error) {
	entries, err := store.Collect(statements, scanAudit, selectActivation, serial)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].Action == auditActivated {
			return nil, nil
		}
		open = &entries[i]
	}
	return open, nil
}
