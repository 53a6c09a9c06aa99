package sqlite

import (
	"context"
	"crypto/x509"

	"capf/runtime/capf"
	"capf/runtime/store"
)

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
