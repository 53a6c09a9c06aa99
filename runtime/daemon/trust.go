package daemon

import (
	"context"
	"crypto/x509"
	"sync"

	"capf/runtime/capf"
)

// anchorStore is where trust anchors are kept.
type anchorStore interface {
	Anchors(ctx context.Context, kind capf.CertificateKind) ([]capf.Anchor, error)
}

// trust gives the anchors of the store, and for LSCs CAPF's own certificate. It keeps what it has parsed.
type trust struct {
	store  anchorStore
	own    func() *x509.Certificate // the CAPF certificate in force; past ones are anchors in the store
	mu     sync.Mutex
	parsed map[string]*x509.Certificate // by SHA-256
}

// Anchors gives the certificates by which those of a kind are verified, as the store has them now.
func (t *trust) Anchors(ctx context.Context, kind capf.CertificateKind) ([]*x509.Certificate, error) {
	stored, err := t.store.Anchors(ctx, kind)
	if err != nil {
		return nil, err
	}
	var anchors []*x509.Certificate
	if kind == capf.LSC {
		anchors = append(anchors, t.own())
	}
	for _, one := range stored {
		anchor, err := t.parse(one)
		if err != nil {
			return nil, err
		}
		anchors = append(anchors, anchor)
	}
	return anchors, nil
}

func (t *trust) parse(anchor capf.Anchor) (*x509.Certificate, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.parsed[anchor.SHA256]; known != nil {
		return known, nil
	}
	parsed, err := x509.ParseCertificate(anchor.DER)
	if err != nil {
		return nil, err
	}
	if t.parsed == nil {
		t.parsed = make(map[string]*x509.Certificate)
	}
	t.parsed[anchor.SHA256] = parsed
	return parsed, nil
}
