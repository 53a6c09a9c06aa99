package daemon

import (
	"context"
	"crypto/x509"
	"time"

	"capf/runtime/capf"
)

// What the service reads to decide by it, and all that it writes, goes to the store that lies in its place or
// nowhere. What is written counts when the file is there afterwards too. ReleaseOperation alone is let through: it
// takes back what the same service wrote, and has nothing to say to a store that another service opens.

// asked is what a read gives while the store is in its place.
func asked[T any](p *placedStore, read func() (T, error)) (T, error) {
	if err := p.inPlace(); err != nil {
		var none T
		return none, err
	}
	return read()
}

// written is what a write gives that the store in its place holds.
func written[T any](p *placedStore, write func() (T, error)) (T, error) {
	given, err := asked(p, write)
	if err == nil {
		err = p.inPlace()
	}
	if err != nil {
		var none T
		return none, err
	}
	return given, nil
}

// done is written for a write that gives nothing.
func (p *placedStore) done(write func() error) error {
	_, err := written(p, func() (struct{}, error) { return struct{}{}, write() })
	return err
}

func (p *placedStore) Parameters(ctx context.Context) (capf.Parameters, error) {
	return asked(p, func() (capf.Parameters, error) { return p.Store.Parameters(ctx) })
}

func (p *placedStore) RecordAttempt(ctx context.Context, attempt capf.Attempt) error {
	return p.done(func() error { return p.Store.RecordAttempt(ctx, attempt) })
}

// Certificates says which are revoked.
func (p *placedStore) Certificates(ctx context.Context, device string, yield func(capf.Certificate) error) error {
	if err := p.inPlace(); err != nil {
		return err
	}
	return p.Store.Certificates(ctx, device, yield)
}

func (p *placedStore) PublicKeyOwner(ctx context.Context, keySHA256 string) (device string, found bool, err error) {
	if err := p.inPlace(); err != nil {
		return "", false, err
	}
	return p.Store.PublicKeyOwner(ctx, keySHA256)
}

func (p *placedStore) WrongStrings(ctx context.Context, device string, ref capf.OperationRef, address string) (capf.WrongStrings, error) {
	return asked(p, func() (capf.WrongStrings, error) { return p.Store.WrongStrings(ctx, device, ref, address) })
}

// CountWrongString comes before the answer: one that is not counted would be a guess for nothing.
func (p *placedStore) CountWrongString(ctx context.Context, ref capf.OperationRef, attempt capf.Attempt) (capf.WrongStrings, error) {
	return written(p, func() (capf.WrongStrings, error) { return p.Store.CountWrongString(ctx, ref, attempt) })
}

func (p *placedStore) RecordHeldCall(ctx context.Context, ref capf.OperationRef, call capf.HeldCall) error {
	return p.done(func() error { return p.Store.RecordHeldCall(ctx, ref, call) })
}

func (p *placedStore) Anchors(ctx context.Context, kind capf.CertificateKind) ([]capf.Anchor, error) {
	return asked(p, func() ([]capf.Anchor, error) { return p.Store.Anchors(ctx, kind) })
}

func (p *placedStore) Phones(ctx context.Context, filter capf.PhoneFilter, yield func(capf.Phone) error) error {
	if err := p.inPlace(); err != nil {
		return err
	}
	return p.Store.Phones(ctx, filter, yield)
}

func (p *placedStore) RenewalsDue(ctx context.Context, now time.Time, yield func(capf.Phone) error) error {
	if err := p.inPlace(); err != nil {
		return err
	}
	return p.Store.RenewalsDue(ctx, now, yield)
}

func (p *placedStore) ApplyChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error) {
	return written(p, func() ([]capf.Changed, error) { return p.Store.ApplyChanges(ctx, mode, changes, change) })
}

func (p *placedStore) LastReset(ctx context.Context, device string) (*capf.Reset, error) {
	return asked(p, func() (*capf.Reset, error) { return p.Store.LastReset(ctx, device) })
}

func (p *placedStore) RecordResets(ctx context.Context, resets []capf.Reset) error {
	return p.done(func() error { return p.Store.RecordResets(ctx, resets) })
}

func (p *placedStore) ExpireOperations(ctx context.Context, now time.Time, atMost int) (int, error) {
	return written(p, func() (int, error) { return p.Store.ExpireOperations(ctx, now, atMost) })
}

func (p *placedStore) LinkIssuers(ctx context.Context, authorities []capf.Anchor) error {
	return p.done(func() error { return p.Store.LinkIssuers(ctx, authorities) })
}

func (p *placedStore) RevokedCount(ctx context.Context) (int64, error) {
	return asked(p, func() (int64, error) { return p.Store.RevokedCount(ctx) })
}

func (p *placedStore) Revocations(ctx context.Context, issuer string) (capf.Revocations, error) {
	return asked(p, func() (capf.Revocations, error) { return p.Store.Revocations(ctx, issuer) })
}

func (p *placedStore) NextCRLNumber(ctx context.Context, issuer string, contents capf.Revocations) (int64, error) {
	return written(p, func() (int64, error) { return p.Store.NextCRLNumber(ctx, issuer, contents) })
}

func (p *placedStore) RecordActivation(ctx context.Context, inForce *x509.Certificate, note string) (bool, error) {
	return written(p, func() (bool, error) { return p.Store.RecordActivation(ctx, inForce, note) })
}

// Traces says what is traced: commands set that in the store that lies in its place.
func (p *placedStore) Traces(ctx context.Context) ([]capf.TraceSetting, error) {
	return asked(p, func() ([]capf.TraceSetting, error) { return p.Store.Traces(ctx) })
}

// PhonesByTLS and OpenOperations are only shown; metrics of a store that nobody else sees would hide that it is gone.
func (p *placedStore) PhonesByTLS(ctx context.Context) (map[string]int, error) {
	return asked(p, func() (map[string]int, error) { return p.Store.PhonesByTLS(ctx) })
}

func (p *placedStore) OpenOperations(ctx context.Context) (all, late int, err error) {
	if err := p.inPlace(); err != nil {
		return 0, 0, err
	}
	return p.Store.OpenOperations(ctx)
}

// Nodes, LatestCTL and CTLVersions say what servers should hold, and what phones that fetch files are given.
func (p *placedStore) Nodes(ctx context.Context) ([]capf.Node, error) {
	return asked(p, func() ([]capf.Node, error) { return p.Store.Nodes(ctx) })
}

func (p *placedStore) LatestCTL(ctx context.Context) (capf.CTLVersion, error) {
	return asked(p, func() (capf.CTLVersion, error) { return p.Store.LatestCTL(ctx) })
}

func (p *placedStore) CTLVersions(ctx context.Context) ([]capf.CTLVersion, error) {
	return asked(p, func() ([]capf.CTLVersion, error) { return p.Store.CTLVersions(ctx) })
}

func (p *placedStore) RecordIdleCall(ctx context.Context, call capf.IdleCall) error {
	return p.done(func() error { return p.Store.RecordIdleCall(ctx, call) })
}
