package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Certificates of phones, and what is revoked of them.

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

// RevokeLSCs revokes LSCs, by the word of an administrator, and gives them with their phones as they are then:
// all of a device that are not revoked, or for a serial number the one that has it. Of the phone nothing is
// known then but that it may still hold a revoked LSC: where it was the current one, the LSC status becomes
// unknown (not none: Delete and Troubleshoot must remain possible) and no LSC is the phone's.
//
// CodeNotFound where there is none to revoke; CodeConflict where a serial number has two issuers; CodeRefused
// for a MIC. One of device and serial is given, the other is empty.
func (s *Store) RevokeLSCs(ctx context.Context, device, serial string, reason capf.RevokeReason, actor string) (revoked []capf.RevokedLSC, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		certificates, err := revocable(tx, device, serial)
		if err != nil {
			return err
		}
		revoked = nil
		for _, certificate := range certificates {
			one, err := s.revokeLSC(tx, certificate, reason, actor)
			if err != nil {
				return err
			}
			revoked = append(revoked, one)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return revoked, nil
}

// revocable finds what is meant.
func revocable(tx *store.Statements, device, serial string) ([]capf.Certificate, error) {
	if device != "" {
		found, err := store.Collect(tx, scanCertificate, selectCertificates+`WHERE device = +?1 AND kind = 'lsc' AND state <> 'revoked' ORDER BY id`, device)
		if err == nil && len(found) == 0 {
			err = &capf.Error{Code: capf.CodeNotFound, Message: "no LSC of " + device + " is known that is not revoked",
				Hint: "see `capf certificate list " + device + "`"}
		}
		return found, err
	}
	found, err := store.Collect(tx, scanCertificate, selectCertificates+`WHERE serial = +?1 ORDER BY id`, serial)
	if err != nil {
		return nil, err
	}
	return found, oneLSC(serial, found)
}

// oneLSC sees that a serial number means one LSC that can be revoked.
func oneLSC(serial string, found []capf.Certificate) error {
	switch {
	case len(found) == 0:
		return &capf.Error{Code: capf.CodeNotFound, Message: "no certificate with serial number " + serial + " is in the store",
			Hint: "see `capf certificate list`"}
	case len(found) > 1:
		return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("%d certificates have serial number %s, those of %s and %s among them",
			len(found), serial, found[0].Device, found[1].Device), Hint: "name the device instead"}
	case found[0].Kind != capf.LSC:
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("serial number %s is the MIC of %s, which its manufacturer issued", serial, found[0].Device),
			Hint: "to keep it out, set another authentication mode, or remove its anchor"}
	case found[0].State == capf.CertificateRevoked:
		return &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("the LSC %s of %s is revoked already, since %s", serial, found[0].Device,
			capf.FormatTime(found[0].RevokedAt)), Hint: "nothing is left to do"}
	}
	return nil
}

func (s *Store) revokeLSC(tx *store.Statements, certificate capf.Certificate, reason capf.RevokeReason, actor string) (capf.RevokedLSC, error) {
	now := s.now()
	certificate.State, certificate.RevokedAt, certificate.RevokeReason = capf.CertificateRevoked, now, string(reason)
	revoked := capf.RevokedLSC{Certificate: certificate}
	_, err := tx.Exec(`UPDATE certificates SET state = 'revoked', revoked_at = ?2, revoke_reason = ?3 WHERE id = +?1`,
		certificate.ID, now.Unix(), string(reason))
	if err != nil {
		return capf.RevokedLSC{}, err
	}
	current, err := tx.Exec(`UPDATE phones SET lsc = NULL, lsc_known = 'unknown', changes = changes + 1, changed_at = ?3
		WHERE device = +?1 AND lsc = +?2`, certificate.Device, certificate.ID, now.Unix())
	if err != nil {
		return capf.RevokedLSC{}, err
	}
	if revoked.WasCurrent = current > 0; revoked.WasCurrent {
		if err := voidBefore(tx, certificate.Device); err != nil {
			return capf.RevokedLSC{}, err
		}
	}
	row, found, err := readPhone(tx, certificate.Device)
	if err != nil {
		return capf.RevokedLSC{}, err
	}
	if found {
		revoked.Phone = &row.Phone
	}
	return revoked, s.audit(tx, actor, "ca revoke", certificate.Device, fmt.Sprintf("serial=%s reason=%s", certificate.Serial, reason))
}

// HasSerial reports whether a certificate has that serial number (lower-case hex).
func (s *Store) HasSerial(ctx context.Context, serial string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var id int64
	return s.reads.First(store.Into(&id), `SELECT id FROM certificates WHERE serial = +?1 LIMIT 1`, serial)
}

const countRevoked = `SELECT count(*) FROM certificates WHERE state = 'revoked'`

// RevokedCount gives how many certificates are revoked. It only grows, so that whoever has seen it once can
// tell whether anything was revoked since.
func (s *Store) RevokedCount(ctx context.Context) (count int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	_, err = s.reads.First(store.Into(&count), countRevoked)
	return count, err
}

// An expired certificate leaves the list after one CRL that was made past its end has carried it (RFC 5280,
// 3.3); the minute is for what was being written while that one was read. Everything is read by one statement,
// and so at one moment.
const selectRevocations = `SELECT '', (` + countRevoked + `), '' UNION ALL
	SELECT c.serial, c.revoked_at, c.revoke_reason FROM certificate_issuers i JOIN certificates c ON c.id = i.certificate
	LEFT JOIN crls l ON l.issuer = i.issuer
	WHERE i.issuer = +?1 AND c.state = 'revoked' AND c.kind = 'lsc'
	AND (l.read_at IS NULL OR c.not_after >= l.read_at - 60 OR c.revoked_at >= l.read_at - 60)`

// Revocations gives what the next CRL of a CAPF certificate must say, by the SHA-256 of that. LinkIssuers comes
// first.
func (s *Store) Revocations(ctx context.Context, issuer string) (found capf.Revocations, err error) {
	if err := ctx.Err(); err != nil {
		return capf.Revocations{}, err
	}
	found.ReadAt = s.now()
	err = s.reads.Each(func(cursor store.Scanner) error {
		var one capf.Revocation
		var number sql.NullInt64
		if err := cursor.Scan(&one.Serial, &number, &one.Reason); err != nil {
			return err
		}
		if one.Serial == "" {
			found.Count = number.Int64
			return nil
		}
		one.RevokedAt = store.Time(number)
		found.Entries = append(found.Entries, one)
		return nil
	}, selectRevocations, issuer)
	return found, err
}

// NextCRLNumber gives the number of a CRL with these contents: above the last of that CAPF certificate, and above all
// that can have been published before this millisecond. For the store may have come of a backup that is older than the
// last CRL, and whoever has seen that one takes none with a lower number (RFC 5280, 5.2.3, which has room for 20 octets;
// milliseconds take 6). Only a clock that was set back between the two would defeat it.
// CodeConflict where a CRL with newer contents has a number already: the contents must be read again.
func (s *Store) NextCRLNumber(ctx context.Context, issuer string, contents capf.Revocations) (number int64, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		var newest int64
		if _, err := tx.First(store.Into(&number, &newest), `SELECT number, revoked FROM crls WHERE issuer = +?1`, issuer); err != nil {
			return err
		}
		if newest > contents.Count {
			return &capf.Error{Code: capf.CodeConflict, Message: "a newer CRL was made meanwhile", Hint: "make it again"}
		}
		number = max(number+1, s.clock().UnixMilli())
		_, err := tx.Exec(`INSERT INTO crls (issuer, number, read_at, revoked) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (issuer) DO UPDATE SET number = excluded.number, read_at = excluded.read_at, revoked = excluded.revoked`,
			issuer, number, contents.ReadAt.Unix(), contents.Count)
		return err
	})
	if err != nil {
		return 0, err
	}
	return number, nil
}
