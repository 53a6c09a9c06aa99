package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// authority is a store and a CAPF identity with a clock that the test sets.
type authority struct {
	*sqlite.Store
	t         *testing.T
	now       time.Time
	directory string
	current   *ca.Authority
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), directory: t.TempDir()}
	var err error
	a.Store, err = sqlite.Open(t.Context(), sqlite.Options{Path: a.path(), Create: true, Clock: a.environment().Clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Store.Close() })
	if a.current, _, err = ca.Activate(a.directory, ca.Options{}, a.environment()); err != nil {
		t.Fatal(err)
	}
	return a
}

// path is where the store is.
func (a *authority) path() string { return filepath.Join(a.directory, StoreFile) }

func (a *authority) environment() ca.Environment {
	return ca.Environment{Clock: func() time.Time { return a.now }, Random: rand.Reader}
}

// issue gives a phone an LSC that it confirms; the one before is revoked by that.
func (a *authority) issue(device string) *x509.Certificate {
	a.t.Helper()
	install, mode := capf.OperationInstall, capf.AuthByNullString
	changed, err := a.ApplyChanges(a.t.Context(), capf.ApplyUpsert, []capf.PhoneChange{{Device: device, Operation: &install, AuthMode: &mode}}, capf.ChangeContext{Actor: "tester"})
	if err != nil {
		a.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := a.current.Issue(a.t.Context(), capf.LSCRequest{Device: device, PublicKey: &key.PublicKey})
	if err != nil {
		a.t.Fatal(err)
	}
	read, err := capf.ReadCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	ref := changed[0].Phone.Last.Ref
	id, err := a.AddIssued(a.t.Context(), ref, nil, read)
	if err != nil {
		a.t.Fatal(err)
	}
	err = a.EndOperation(a.t.Context(), device, ref, capf.Outcome{Ending: capf.EndingSuccess, Confirmed: id, LSC: capf.LSCInstalled})
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return certificate
}

// renew puts another CAPF certificate in force, and gives the one before.
func (a *authority) renew() (before *ca.Authority) {
	a.t.Helper()
	next := a.makeNext()
	a.putInForce(next)
	before, a.current = a.current, next
	return before
}

// crlTrial asks for CRLs as servers do.
type crlTrial struct {
	*authority
	served  *crls
	numbers map[string][]int64 // those seen, by the SHA-256 of the issuer
}

func newCRLTrial(t *testing.T) *crlTrial {
	t.Helper()
	a := newAuthority(t)
	return &crlTrial{authority: a, served: newCRLs(a.Store, a.opened(slog.New(slog.DiscardHandler)), a.environment()), numbers: map[string][]int64{}}
}

// list gives the CRL of an issuer; that of the one in force for nil.
func (c *crlTrial) list(issuer *ca.Authority) *x509.RevocationList {
	c.t.Helper()
	digest, signer := "", c.current
	if issuer != nil {
		digest, signer = capf.HexSHA256(issuer.Certificate.Raw), issuer
	}
	der, _, err := c.served.CRL(c.t.Context(), digest)
	if err != nil {
		c.t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(signer.Certificate); err != nil {
		c.t.Error(err)
	}
	return list
}

// check expects that the CRL of an issuer is the one of this place among those asked for, each with a greater number than
// the one before.
func (c *crlTrial) check(what string, issuer *ca.Authority, place, entries int) {
	c.t.Helper()
	list, signer := c.list(issuer), c.current
	if issuer != nil {
		signer = issuer
	}
	key, number := capf.HexSHA256(signer.Certificate.Raw), list.Number.Int64()
	seen := c.numbers[key]
	if len(seen) == 0 || number > seen[len(seen)-1] {
		seen = append(seen, number)
	}
	c.numbers[key] = seen
	if number != seen[len(seen)-1] || len(seen) != place || len(list.RevokedCertificateEntries) != entries {
		c.t.Errorf("%s: number %v with %d entries, want the %dth with %d; the numbers were %d", what, list.Number, len(list.RevokedCertificateEntries),
			place, entries, seen)
	}
}

// TestCRLIsMadeWhenItMustBe: once for all who ask, and anew after a revocation, after a day, when the clock was
// set back, and when another CAPF certificate is in force.
func TestCRLIsMadeWhenItMustBe(t *testing.T) {
	c := newCRLTrial(t)
	first := c.issue("SEP000000000001")
	c.check("first", nil, 1, 0)
	c.now = c.now.Add(time.Hour)
	c.check("an hour later", nil, 1, 0)
	c.check("by its name", c.current, 1, 0)
	c.issue("SEP000000000001")
	c.check("after an LSC was superseded", nil, 2, 1)
	if entry := c.list(nil).RevokedCertificateEntries[0]; entry.SerialNumber.Cmp(first.SerialNumber) != 0 || entry.ReasonCode != 4 {
		t.Errorf("entry %x, reason %d", entry.SerialNumber, entry.ReasonCode)
	}
	c.now = c.now.Add(crlAge)
	c.check("after a day", nil, 3, 1)
	c.now = c.now.Add(-time.Minute)
	c.check("with the clock set back", nil, 4, 1)
	c.renew()
	c.check("under another certificate", nil, 1, 0)
}

// TestCRLOfEarlierIssuers: each CAPF certificate that is an anchor still has a CRL of its own, with what it issued.
func TestCRLOfEarlierIssuers(t *testing.T) {
	c := newCRLTrial(t)
	c.issue("SEP000000000001")
	c.check("in force", nil, 1, 0)
	before := c.renew()
	c.check("of the one before", before, 1, 0)
	c.issue("SEP000000000001")
	c.check("after its LSC was superseded by one of another issuer", before, 2, 1)
	c.check("of the one in force", nil, 1, 0)

	digest := capf.HexSHA256(before.Certificate.Raw)
	c.removeAnchor(digest)
	for _, issuer := range []string{digest, strings.Repeat("0", 64), "x"} {
		if _, _, err := c.served.CRL(t.Context(), issuer); !capf.HasCode(err, capf.CodeNotFound) {
			t.Errorf("of %s, which is no anchor: %v", issuer, err)
		}
	}
	if err := os.Remove(filepath.Join(ca.KeyFolder(c.directory), "old-"+capf.FormatSerial(before.Certificate.SerialNumber)+".pem")); err != nil {
		t.Fatal(err)
	}
	c.check("of the one in force", nil, 1, 0)
	if err := os.WriteFile(filepath.Join(ca.KeyFolder(c.directory), "old-00.pem"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.check("of the one in force beside a damaged file", nil, 1, 0)
	if _, _, err := c.served.CRL(t.Context(), digest); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Errorf("of an earlier one beside a damaged file: %v", err)
	}
}

func (c *crlTrial) removeAnchor(digest string) {
	c.t.Helper()
	anchors, err := c.Anchors(c.t.Context(), capf.LSC)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, anchor := range anchors {
		if anchor.SHA256 != digest {
			continue
		}
		if err := c.RemoveAnchor(c.t.Context(), anchor.ID, "", "tester"); err != nil {
			c.t.Fatal(err)
		}
	}
}

// TestCRLEndsWithItsIssuer: the last one reaches to the end of the CAPF certificate, and none is served after that.
func TestCRLEndsWithItsIssuer(t *testing.T) {
	c := newCRLTrial(t)
	ends := c.current.Certificate.NotAfter
	c.now = ends.Add(-time.Hour)
	if list := c.list(nil); !list.NextUpdate.Equal(ends) {
		t.Errorf("it holds to %s, its issuer to %s", list.NextUpdate, ends)
	}
	c.now = ends.Add(-time.Second)
	c.check("a second before the end", nil, 1, 0)
	c.now = ends
	if _, _, err := c.served.CRL(t.Context(), ""); !capf.HasCode(err, capf.CodeRefused) {
		t.Errorf("at the end: %v", err)
	}
}

// stuckStore holds whoever makes a CRL until it is let go.
type stuckStore struct {
	*authority
	in, goOn chan struct{}
}

func (s *stuckStore) LinkIssuers(ctx context.Context, authorities []capf.Anchor) error {
	s.in <- struct{}{}
	<-s.goOn
	return s.authority.LinkIssuers(ctx, authorities)
}

// TestCRLBesideAStuckStore: whoever gives up does not wait for the request before, which may wait for good.
func TestCRLBesideAStuckStore(t *testing.T) {
	a := newAuthority(t)
	stuck := &stuckStore{authority: a, in: make(chan struct{}), goOn: make(chan struct{})}
	served := newCRLs(stuck, a.opened(slog.New(slog.DiscardHandler)), a.environment())
	first := make(chan error, 1)
	go func() {
		_, _, err := served.CRL(context.Background(), "")
		first <- err
	}()
	<-stuck.in
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := served.CRL(ctx, ""); !capf.HasCode(err, capf.CodeUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone away: %v", err)
	}
	close(stuck.goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if _, _, err := served.CRL(t.Context(), ""); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// overtaking has another CRL made between the reading of the contents and the taking of a number.
type overtaking struct {
	*authority
	times int
}

func (o *overtaking) NextCRLNumber(ctx context.Context, issuer string, contents capf.Revocations) (int64, error) {
	if o.times > 0 {
		o.times--
		o.issue("SEP000000000001")
		if _, err := MakeCRL(ctx, o.authority, o.current, o.environment(), time.Hour); err != nil {
			return 0, err
		}
	}
	return o.authority.NextCRLNumber(ctx, issuer, contents)
}

func TestCRLThatIsOvertakenIsReadAgain(t *testing.T) {
	a := newAuthority(t)
	a.issue("SEP000000000001")
	made, err := MakeCRL(t.Context(), &overtaking{a, 3}, a.current, a.environment(), time.Hour)
	if err != nil || made.Number != a.now.UnixMilli()+3 || made.Entries != 3 { // the fourth of this moment
		t.Errorf("number %d with %d entries, %v", made.Number, made.Entries, err)
	}
	if _, err := MakeCRL(t.Context(), &overtaking{a, crlAttempts}, a.current, a.environment(), time.Hour); !capf.HasCode(err, capf.CodeConflict) {
		t.Errorf("overtaken again and again: %v", err)
	}
}
