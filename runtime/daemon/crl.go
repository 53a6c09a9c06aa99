package daemon

import (
	"context"
	"sync"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

// CRLStore is what a CRL is made from.
type CRLStore interface {
	LinkIssuers(ctx context.Context, authorities []capf.Anchor) error
	RevokedCount(ctx context.Context) (int64, error)
	Revocations(ctx context.Context, issuer string) (capf.Revocations, error)
	NextCRLNumber(ctx context.Context, issuer string, contents capf.Revocations) (int64, error)
}

// CRL is a list of what one CAPF certificate has issued and what is revoked.
type CRL struct {
	DER      []byte
	Number   int64
	Entries  int
	MadeAt   time.Time
	issuer   *ca.Authority
	contents int64 // how many certificates were revoked in the store
}

const (
	// CRLLife is how long a CRL holds where nobody says otherwise.
	CRLLife = 7 * 24 * time.Hour
	// crlAge is when the service makes another although nothing was revoked, long before the one is over.
	crlAge = 24 * time.Hour
	// crlAttempts is how often contents are read anew because another CRL was made meanwhile.
	crlAttempts = 10
)

// MakeCRL makes the next CRL of an authority, which holds for so long. CodeRefused where its certificate may
// sign none.
func MakeCRL(ctx context.Context, store CRLStore, authority *ca.Authority, environment ca.Environment, life time.Duration) (*CRL, error) {
	if err := authority.CanSignCRL(); err != nil {
		return nil, err
	}
	anchor, err := authority.Anchor()
	if err != nil {
		return nil, err
	}
	if err := store.LinkIssuers(ctx, []capf.Anchor{anchor}); err != nil {
		return nil, err
	}
	contents, number, err := numbered(ctx, store, anchor.SHA256)
	if err != nil {
		return nil, err
	}
	made := environment.Clock()
	der, err := authority.CRL(contents, number, life)
	if err != nil {
		return nil, err
	}
	return &CRL{DER: der, Number: number, Entries: len(contents.Entries), MadeAt: made, issuer: authority, contents: contents.Count}, nil
}

// numbered reads what the CRL must say and takes a number for it.
func numbered(ctx context.Context, store CRLStore, issuer string) (contents capf.Revocations, number int64, err error) {
	for range crlAttempts {
		if contents, err = store.Revocations(ctx, issuer); err != nil {
			return capf.Revocations{}, 0, err
		}
		number, err = store.NextCRLNumber(ctx, issuer, contents)
		if !capf.HasCode(err, capf.CodeConflict) {
			return contents, number, err
		}
	}
	return capf.Revocations{}, 0, err
}

// crls keeps the newest CRL of the CAPF certificate in force for those who fetch it.
type crls struct {
	store       CRLStore
	authority   func() *ca.Authority
	environment ca.Environment

	mu   sync.Mutex // one is made at a time
	last *CRL
}

// CRL gives the CRL in DER, and when it was made. It is made anew where anything was revoked since, where it is
// a day old, or where another CAPF certificate is in force.
func (c *crls) CRL(ctx context.Context) (der []byte, made time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	authority := c.authority()
	fresh, err := c.isFresh(ctx, authority)
	if err != nil {
		return nil, time.Time{}, err
	}
	if !fresh {
		made, err := MakeCRL(ctx, c.store, authority, c.environment, CRLLife)
		if err != nil {
			return nil, time.Time{}, err
		}
		c.last = made
	}
	return c.last.DER, c.last.MadeAt, nil
}

func (c *crls) isFresh(ctx context.Context, authority *ca.Authority) (bool, error) {
	if c.last == nil || !c.last.issuer.Certificate.Equal(authority.Certificate) {
		return false, nil
	}
	if age := c.environment.Clock().Sub(c.last.MadeAt); age < 0 || age >= crlAge {
		return false, nil
	}
	count, err := c.store.RevokedCount(ctx)
	return count == c.last.contents, err
}
