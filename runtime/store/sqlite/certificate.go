package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

const selectCertificates = `SELECT id, device, kind, state, source, serial, subject, issuer, not_before, not_after, der, sha256,
	key_sha256, operation, recorded_at, confirmed_at, revoked_at, revoke_reason FROM certificates `

const (
	pageOfAll    = selectCertificates + `WHERE id > +?1 ORDER BY id LIMIT +?2`
	pageOfDevice = selectCertificates + `WHERE id > +?1 AND device = +?3 ORDER BY id LIMIT +?2`
)

func scanCertificate(cursor store.Scanner) (capf.Certificate, error) {
	var c certificateColumns
	var device string
	err := cursor.Scan(&c.id, &device, &c.kind, &c.state, &c.source, &c.serial, &c.subject, &c.issuer, &c.notBefore, &c.notAfter,
		&c.der, &c.sha256, &c.key, &c.operation, &c.recordedAt, &c.confirmedAt, &c.revokedAt, &c.revokeReason)
	return c.certificate(device), err
}

// Certificates hands out the certificates of a device, or all for "", in the order in which they were
// recorded, until yield gives an error, which it gives back. No statement is open while yield works.
func (s *Store) Certificates(ctx context.Context, device string, yield func(capf.Certificate) error) error {
	query, arguments := pageOfAll, []any{int64(0), pageSize}
	if device != "" {
		query, arguments = pageOfDevice, append(arguments, device)
	}
	return inPages(ctx, s.reads, scanCertificate, func(c capf.Certificate) int64 { return c.ID }, yield, query, arguments)
}

// inPages hands out rows page by page; ?1 is the key after which a page begins, the argument ?2 its size.
func inPages[T any, K any](ctx context.Context, statements *store.Statements, scan func(store.Scanner) (T, error), key func(T) K,
	yield func(T) error, query string, arguments []any) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := store.Collect(statements, scan, query, arguments...)
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := yield(row); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		arguments[0] = key(page[len(page)-1])
	}
}

const selectKeyOwner = `SELECT device FROM certificates WHERE key_sha256 = +?1
	UNION ALL SELECT '' FROM anchors WHERE key_sha256 = +?1 LIMIT 1`

// PublicKeyOwner gives the device that has a certificate with that key; "" for a trust anchor.
func (s *Store) PublicKeyOwner(ctx context.Context, keySHA256 string) (device string, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	found, err = s.reads.First(store.Into(&device), selectKeyOwner, keySHA256)
	return device, found, err
}

// refuseForeignKey gives CodeRefused where the certificate's key is another device's or an anchor's.
func refuseForeignKey(tx *store.Statements, c capf.Certificate) error {
	var owner string
	foreign, err := tx.First(store.Into(&owner), `SELECT device FROM certificates WHERE key_sha256 = +?1 AND device <> +?2
		UNION ALL SELECT '' FROM anchors WHERE key_sha256 = +?1 LIMIT 1`, c.KeySHA256, c.Device)
	if err != nil || !foreign {
		return err
	}
	whose := "phone " + owner
	if owner == "" {
		whose = "a certificate authority"
	}
	return &capf.Error{Code: capf.CodeRefused, Message: "the public key of phone " + c.Device + " is that of " + whose,
		Hint: "have the phone make a new key pair; if it cannot, find out which of the two is genuine"}
}

const insertCertificate = `INSERT INTO certificates (device, kind, state, source, serial, subject, issuer, not_before, not_after, der, sha256,
	key_sha256, operation, recorded_at, confirmed_at, revoked_at, revoke_reason)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, NULL, '')`

func addCertificate(tx *store.Statements, c capf.Certificate) (int64, error) {
	id, err := tx.Insert(insertCertificate, c.Device, string(c.Kind), string(c.State), string(c.Source), c.Serial, c.Subject, c.Issuer,
		c.NotBefore.Unix(), c.NotAfter.Unix(), c.DER, c.SHA256, c.KeySHA256, store.Nullable(c.Operation),
		c.RecordedAt.Unix(), store.Seconds(c.ConfirmedAt))
	if isUnique(err) {
		return 0, &capf.Error{Code: capf.CodeConflict, Message: "that certificate of phone " + c.Device + " is in the store already", Err: err}
	}
	return id, err
}

// AddIssued stores an LSC that is about to leave for its phone, and gives its ID. CodeSuperseded where
// the operation is not pending at that revision or its deadline has passed; CodeAuthentication where what the
// session authenticated by was withdrawn; CodeRefused where the public key is another device's or an anchor's.
// Device, kind, state, source and time are set here. One that left before for this operation, and that the phone has
// not confirmed, may leave again: it keeps its ID.
func (s *Store) AddIssued(ctx context.Context, ref capf.OperationRef, presented *capf.Presented, certificate capf.Certificate) (id int64, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		operation, err := pendingOperation(tx, ref)
		if err != nil {
			return err
		}
		if now := s.now(); !operation.IsPending(now) {
			return superseded(ref)
		}
		if err := judgePresented(tx, operation.Device, presented); err != nil {
			return err
		}
		certificate.Device, certificate.Kind = operation.Device, capf.LSC
		certificate.State, certificate.Source = capf.CertificateIssued, capf.SourceIssued
		certificate.Operation, certificate.RecordedAt = ref.ID, s.now()
		if err := refuseForeignKey(tx, certificate); err != nil {
			return err
		}
		id, err = addCertificate(tx, certificate)
		if capf.HasCode(err, capf.CodeConflict) {
			left, failure := tx.First(store.Into(&id), `SELECT id FROM certificates WHERE device = +?1 AND kind = 'lsc' AND sha256 = +?2
				AND operation = +?3 AND state = 'issued'`, certificate.Device, certificate.SHA256, ref.ID)
			if failure != nil || left {
				return failure
			}
		}
		if err != nil {
			return err
		}
		return boundIssued(tx, operation.Device, ref)
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// mostIssued is how many certificates one operation can make that the phone confirms none of.
const mostIssued = 32

// boundIssued refuses the one that was just added where it is one too many.
func boundIssued(tx *store.Statements, device string, ref capf.OperationRef) error {
	var count int
	if _, err := tx.First(store.Into(&count), `SELECT count(*) FROM certificates WHERE device = +?1 AND operation = +?2 AND source = 'issued'`,
		device, ref.ID); err != nil {
		return err
	}
	if count <= mostIssued {
		return nil
	}
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%d certificates were issued for one operation of %s, and it confirmed none", mostIssued, device),
		Hint: "see whether it is the phone that calls, and set the operation again"}
}

// Anchors gives the trust anchors for certificates of a kind, or for both for "".
func (s *Store) Anchors(ctx context.Context, kind capf.CertificateKind) ([]capf.Anchor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanAnchor, `SELECT id, kind, subject, serial, not_before, not_after, der, sha256, origin, added_at
		FROM anchors WHERE ?1 IN ('', kind) ORDER BY id`, string(kind))
}

func scanAnchor(cursor store.Scanner) (anchor capf.Anchor, err error) {
	var notBefore, notAfter, addedAt sql.NullInt64
	err = cursor.Scan(&anchor.ID, &anchor.Kind, &anchor.Subject, &anchor.Serial, &notBefore, &notAfter, &anchor.DER, &anchor.SHA256,
		&anchor.Origin, &addedAt)
	anchor.NotBefore, anchor.NotAfter, anchor.AddedAt = store.Time(notBefore), store.Time(notAfter), store.Time(addedAt)
	return anchor, err
}
