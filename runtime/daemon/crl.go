package daemon

import (
	"context"
	"fmt"
	"slices"
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
	Until    time.Time // when it is over: never later than the certificate that signed it
	contents int64     // how many certificates were revoked in the store
}

const (
	// CRLLife is how long a CRL holds where nobody says otherwise.
	CRLLife = 7 * 24 * time.Hour
	// crlAge is when the service makes another although nothing was revoked, long before the one is over.
	crlAge = 24 * time.Hour
	// crlAttempts is how often contents are read anew because another CRL was made meanwhile.
	crlAttempts = 10
)

// MakeCRL makes the next CRL of an authority, which holds for so long, but no longer than its certificate.
// CodeRefused where that may sign none.
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
	der, until, err := authority.CRL(contents, number, life)
	if err != nil {
		return nil, err
	}
	return &CRL{DER: der, Number: number, Entries: len(contents.Entries), MadeAt: made, Until: until, contents: contents.Count}, nil
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

// servedStore is what the service needs to serve CRLs.
type servedStore interface {
	CRLStore
	anchorStore
}

// authorities are CAPF's identities.
type authorities interface {
	Authority() *ca.Authority // in force
	// Past gives those that were in force before and whose keys are kept.
	Past() ([]*ca.Authority, error)
}

// crls keeps the newest CRL of the CAPF certificate in force, and of each earlier one that is still an anchor, for
// those who fetch them.
type crls struct {
	store       servedStore
	authorities authorities
	environment ca.Environment

	turn chan struct{}   // one is made at a time, by whoever has put something in
	kept map[string]*CRL // by the SHA-256 of the issuer's certificate; belongs to who has the turn
}

func newCRLs(store servedStore, authorities authorities, environment ca.Environment) *crls {
	return &crls{store: store, authorities: authorities, environment: environment, turn: make(chan struct{}, 1), kept: make(map[string]*CRL)}
}

// CRL gives a CRL in DER, and when it was made: that of the CAPF certificate in force for "", else that of the one
// with this SHA-256 in lower-case hex; CodeNotFound where there is none. It is made anew where anything was revoked
// since, and where it is a day old or over. The context ends the wait for others who have theirs made.
func (c *crls) CRL(ctx context.Context, issuer string) (der []byte, made time.Time, err error) {
	authority, err := c.find(ctx, issuer)
	if err != nil {
		return nil, time.Time{}, err
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, time.Time{}, &capf.Error{Code: capf.CodeUnavailable, Message: "CRL: another request keeps the store busy", Err: ctx.Err(),
			Hint: "see whether another process holds the lock of the store"}
	}
	key := capf.HexSHA256(authority.Certificate.Raw)
	fresh, err := c.isFresh(ctx, c.kept[key])
	if err != nil {
		return nil, time.Time{}, err
	}
	if !fresh {
		made, err := MakeCRL(ctx, c.store, authority, c.environment, CRLLife)
		if err != nil {
			return nil, time.Time{}, err
		}
		c.kept[key] = made
	}
	return c.kept[key].DER, c.kept[key].MadeAt, nil
}

// find gives the authority whose CRL is meant. What cannot be read of earlier ones keeps nobody from the CRL of the one in
// force. An earlier one whose anchor was removed is answered for no more.
func (c *crls) find(ctx context.Context, issuer string) (*ca.Authority, error) {
	inForce := c.authorities.Authority()
	if issuer == "" || issuer == capf.HexSHA256(inForce.Certificate.Raw) {
		return inForce, nil
	}
	past, err := c.authorities.Past()
	if err != nil {
		return nil, err
	}
	anchors, err := c.store.Anchors(ctx, capf.LSC)
	if err != nil {
		return nil, err
	}
	found := slices.IndexFunc(past, func(one *ca.Authority) bool { return capf.HexSHA256(one.Certificate.Raw) == issuer })
	if found < 0 || !slices.ContainsFunc(anchors, func(anchor capf.Anchor) bool { return anchor.SHA256 == issuer }) {
		return nil, noCRL(issuer)
	}
	return past[found], nil
}

func noCRL(issuer string) error {
	return &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("no CAPF certificate with its key and its anchor has SHA-256 %.64q", issuer),
		Hint: "see `capf ca list` and `capf anchor list`"}
}

func (c *crls) isFresh(ctx context.Context, last *CRL) (bool, error) {
	if last == nil {
		return false, nil
	}
	now := c.environment.Clock()
	if age := now.Sub(last.MadeAt); age < 0 || age >= crlAge || !now.Before(last.Until) {
		return false, nil
	}
	count, err := c.store.RevokedCount(ctx)
	return count == last.contents, err
}
