package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/session"
)

// CAPF's identity while it is served: another one that is put in force, and whose certificates count.

// identity is the CAPF identity in force. `capf ca activate` may replace it while phones are served: it is
// looked at for every connection, by one stat, and read again where its file is another.
type identity struct {
	directory   string
	environment ca.Environment
	log         *slog.Logger

	mu        sync.Mutex
	authority *ca.Authority
	seen      os.FileInfo // of the file that it was read from
	failed    os.FileInfo // a newer one that could not be read

	own  ofKeys[[]*x509.Certificate]
	past ofKeys[[]*ca.Authority]
}

// openIdentity reads the identity for the first time. CodeNotActivated where there is none.
func openIdentity(directory string, environment ca.Environment, log *slog.Logger) (*identity, error) {
	i := &identity{directory: directory, environment: environment, log: log}
	if seen, err := os.Stat(ca.IdentityPath(directory)); err == nil {
		i.seen = seen // where there is none yet, the next look reads it again
	}
	var err error
	i.authority, err = ca.Load(directory, environment)
	if err != nil {
		return nil, err
	}
	if err := i.ready(i.authority); err != nil {
		return nil, err
	}
	return i, nil
}

// ready opens the token in which the key lies, where it does, and says what falls away with it.
func (i *identity) ready(authority *ca.Authority) error {
	notes, err := authority.Ready()
	for _, note := range notes {
		i.log.Warn(note)
	}
	return err
}

// Authority gives the identity in force. One that cannot be read does not end the service: the one before
// serves on, and the log says so, once.
func (i *identity) Authority() *ca.Authority {
	i.mu.Lock()
	defer i.mu.Unlock()
	present, err := os.Stat(ca.IdentityPath(i.directory))
	if err != nil || sameFile(present, i.seen) || sameFile(present, i.failed) {
		return i.authority
	}
	next, err := ca.Load(i.directory, i.environment)
	if err == nil {
		err = i.ready(next)
	}
	if err != nil {
		i.failed = present
		i.log.Error("the CAPF identity was replaced by one that cannot be read; the one before serves on", "error", err)
		return i.authority
	}
	if !next.Certificate.Equal(i.authority.Certificate) {
		i.log.Info("a new CAPF certificate is in force; sessions that have begun end with the one before",
			"name", next.Name(), "before", i.authority.Name())
	}
	i.authority, i.seen, i.failed = next, present, nil
	return i.authority
}

// Certificate gives the CAPF certificate in force.
func (i *identity) Certificate() *x509.Certificate { return i.Authority().Certificate }

func sameFile(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// ofKeys is what was read of the folder of the keys, and holds until that changes.
type ofKeys[T any] struct {
	mu      sync.Mutex
	changed time.Time // the folder, when it was read; zero: read again
	known   T
}

// racy is how long after a change of a folder another one may leave it the same time.
const racy = time.Second

func (k *ofKeys[T]) get(directory string, read func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var none T
	folder, err := os.Stat(ca.KeyFolder(directory))
	if err != nil {
		return none, fmt.Errorf("look for CAPF keys: %w", err)
	}
	if !k.changed.IsZero() && k.changed.Equal(folder.ModTime()) {
		return k.known, nil
	}
	known, err := read()
	if err != nil {
		return none, err
	}
	k.known, k.changed = known, time.Time{}
	if time.Since(folder.ModTime()) > racy {
		k.changed = folder.ModTime()
	}
	return known, nil
}

// IsOwnKey reports whether a public key (capf.KeyIdentity) is CAPF's: in force, next or past.
func (i *identity) IsOwnKey(keySHA256 string) (bool, error) {
	certificates, err := i.own.get(i.directory, func() ([]*x509.Certificate, error) { return ca.Certificates(i.directory) })
	if err != nil {
		return false, err
	}
	isOf := func(one *x509.Certificate) bool {
		return capf.KeyIdentity(one.PublicKey, one.RawSubjectPublicKeyInfo) == keySHA256
	}
	return slices.ContainsFunc(certificates, isOf) || isOf(i.Certificate()), nil
}

// Past gives the CAPF certificates that were in force before and whose keys are kept, with these.
func (i *identity) Past() ([]*ca.Authority, error) {
	return i.past.get(i.directory, func() ([]*ca.Authority, error) { return ca.Past(i.directory, i.environment) })
}

// Current gives the certificate for handshakes and who signs under it, as they are in force now.
func (i *identity) Current() (tls.Certificate, session.Issuer) {
	authority := i.Authority()
	return authority.TLS(), authority
}

const activationEvery = time.Minute

// followActivations completes, at the start and while the service runs, what a `capf ca activate` has left that was
// cut off when its certificate was in force already: until then the audit trail does not say so.
func (d *Daemon) followActivations(ctx context.Context) error {
	completed := ""
	return every(ctx, activationEvery, func(ctx context.Context) {
		if present := capf.HexSHA256(d.identity.Certificate().Raw); present != completed && d.completeActivation(ctx) {
			completed = present
		}
	})
}

// completeActivation reports whether nothing is left to do. While a command is at it, that is for the command.
func (d *Daemon) completeActivation(ctx context.Context) bool {
	succession := ca.Succession{Directory: d.options.Data, Environment: d.options.Environment, Keeper: d.store}
	needed, err := succession.Finish(ctx)
	switch {
	case err == nil && needed:
		d.options.Log.Info("an activation of the CAPF certificate had been cut off, and is complete and on record now", "name", d.identity.Authority().Name())
	case err != nil && ctx.Err() == nil && !capf.HasCode(err, capf.CodeBusy):
		d.options.Log.Error("what `capf ca activate` may have left could not be seen to; the next try is in a minute", "error", err)
	}
	return err == nil
}

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
