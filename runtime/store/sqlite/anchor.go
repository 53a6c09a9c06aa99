package sqlite

import (
	"context"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
