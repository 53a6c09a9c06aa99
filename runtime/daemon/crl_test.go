package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"path/filepath"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// authorities is a store and a CAPF identity with a clock that the test sets.
type authorities struct {
	*sqlite.Store
	t         *testing.T
	now       time.Time
	directory string
	current   *ca.Authority
}

func newAuthorities(t *testing.T) *authorities {
	t.Helper()
	a := &authorities{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), directory: t.TempDir()}
	var err error
	a.Store, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(a.directory, StoreFile), Create: true, Clock: a.environment().Clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Store.Close() })
	if a.current, _, err = ca.Activate(a.directory, ca.Options{}, a.environment()); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authorities) environment() ca.Environment {
	return ca.Environment{Clock: func() time.Time { return a.now }, Random: rand.Reader}
}

// issue gives a phone an LSC that it confirms; the one before is revoked by that.
func (a *authorities) issue(device string) *x509.Certificate {
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
	id, err := a.AddIssued(a.t.Context(), ref, read)
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

// list asks for the CRL as servers do.
func (a *authorities) list(crls *crls) *x509.RevocationList {
	a.t.Helper()
	der, _, err := crls.CRL(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(a.current.Certificate); err != nil {
		a.t.Error(err)
	}
	return list
}

// TestCRLIsMadeWhenItMustBe: once for all who ask, and anew after a revocation, after a day, when the clock was
// set back, and when another CAPF certificate is in force.
func TestCRLIsMadeWhenItMustBe(t *testing.T) {
	a := newAuthorities(t)
	served := &crls{store: a.Store, authority: func() *ca.Authority { return a.current }, environment: a.environment()}
	check := func(what string, number int64, entries int) {
		t.Helper()
		list := a.list(served)
		if list.Number.Int64() != number || len(list.RevokedCertificateEntries) != entries {
			t.Errorf("%s: number %v with %d entries, want %d with %d", what, list.Number, len(list.RevokedCertificateEntries), number, entries)
		}
	}
	first := a.issue("SEP000000000001")
	check("first", 1, 0)
	a.now = a.now.Add(time.Hour)
	check("an hour later", 1, 0)
	a.issue("SEP000000000001")
	check("after an LSC was superseded", 2, 1)
	if entry := a.list(served).RevokedCertificateEntries[0]; entry.SerialNumber.Cmp(first.SerialNumber) != 0 || entry.ReasonCode != 4 {
		t.Errorf("entry %x, reason %d", entry.SerialNumber, entry.ReasonCode)
	}
	a.now = a.now.Add(crlAge)
	check("after a day", 3, 1)
	a.now = a.now.Add(-time.Minute)
	check("with the clock set back", 4, 1)

	next, err := ca.MakeNext(a.directory, ca.Options{}, nil, false, a.environment())
	if err != nil {
		t.Fatal(err)
	}
	a.current = next
	check("under another certificate", 1, 0)
}

// overtaking has another CRL made between the reading of the contents and the taking of a number.
type overtaking struct {
	*authorities
	times int
}

func (o *overtaking) NextCRLNumber(ctx context.Context, issuer string, contents capf.Revocations) (int64, error) {
	if o.times > 0 {
		o.times--
		o.issue("SEP000000000001")
		if _, err := MakeCRL(ctx, o.authorities, o.current, o.environment(), time.Hour); err != nil {
			return 0, err
		}
	}
	return o.authorities.NextCRLNumber(ctx, issuer, contents)
}

func TestCRLThatIsOvertakenIsReadAgain(t *testing.T) {
	a := newAuthorities(t)
	a.issue("SEP000000000001")
	made, err := MakeCRL(t.Context(), &overtaking{a, 3}, a.current, a.environment(), time.Hour)
	if err != nil || made.Number != 4 || made.Entries != 3 {
		t.Errorf("number %d with %d entries, %v", made.Number, made.Entries, err)
	}
	if _, err := MakeCRL(t.Context(), &overtaking{a, crlAttempts}, a.current, a.environment(), time.Hour); !capf.HasCode(err, capf.CodeConflict) {
		t.Errorf("overtaken again and again: %v", err)
	}
}
