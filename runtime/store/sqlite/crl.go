package sqlite

import (
	"context"
	"database/sql"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
