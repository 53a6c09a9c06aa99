package ca_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

func TestCRL(t *testing.T) {
	authority := newAuthority(t, noon)
	contents := capf.Revocations{Entries: []capf.Revocation{
		{Serial: "01", RevokedAt: noon.Add(-time.Hour), Reason: capf.RevokeSuperseded},
		{Serial: "00ff00", RevokedAt: noon, Reason: capf.RevokeDeleted},
		{Serial: "03", RevokedAt: noon, Reason: capf.RevokeKeyCompromise},
		{Serial: "04", RevokedAt: noon, Reason: capf.RevokeUnspecified},
		{Serial: "05", RevokedAt: noon, Reason: "a word of later times"},
	}}
	der, until, err := authority.CRL(contents, 42, 48*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil || list.CheckSignatureFrom(authority.Certificate) != nil {
		t.Fatalf("not a CRL of this authority: %v", err)
	}
	if list.Number.Int64() != 42 || !list.ThisUpdate.Equal(noon) || !list.NextUpdate.Equal(noon.Add(48*time.Hour)) || !until.Equal(list.NextUpdate) {
		t.Errorf("number %v, from %s to %s", list.Number, list.ThisUpdate, list.NextUpdate)
	}
	want := []struct {
		serial int64
		reason int
	}{{1, 4}, {0xff00, 5}, {3, 1}, {4, 0}, {5, 0}}
	for i, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Int64() != want[i].serial || entry.ReasonCode != want[i].reason || !entry.RevocationTime.Equal(contents.Entries[i].RevokedAt) {
			t.Errorf("entry %d: serial number %x, reason %d, %s", i, entry.SerialNumber, entry.ReasonCode, entry.RevocationTime)
		}
	}
	if len(list.RevokedCertificateEntries) != len(want) {
		t.Errorf("%d entries", len(list.RevokedCertificateEntries))
	}
	if _, _, err := authority.CRL(capf.Revocations{Entries: []capf.Revocation{{Serial: "x"}}}, 1, time.Hour); !capf.HasCode(err, capf.CodeInternal) {
		t.Errorf("a serial number that is none: %v", err)
	}
}

// Every reason has a code: none is written as unspecified for want of one.
func TestReasonsHaveCodes(t *testing.T) {
	authority := newAuthority(t, noon)
	seen := make(map[int]capf.RevokeReason)
	for _, reason := range capf.RevokeReasons {
		der, _, err := authority.CRL(capf.Revocations{Entries: []capf.Revocation{{Serial: "01", RevokedAt: noon, Reason: reason}}}, 1, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		code := list.RevokedCertificateEntries[0].ReasonCode
		if other, taken := seen[code]; taken {
			t.Errorf("%s and %s are both %d", reason, other, code)
		}
		seen[code] = reason
	}
}

// identityWith puts an identity into a directory whose certificate was made elsewhere.
func identityWith(t *testing.T, template x509.Certificate) *ca.Authority {
	t.Helper()
	template.SerialNumber, template.Subject, template.BasicConstraintsValid = big.NewInt(7), pkix.Name{CommonName: "CAPF-elsewhere"}, true
	template.NotBefore, template.NotAfter = noon, noon.AddDate(1, 0, 0)
	key := rsaKey(t, 2048)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.Mkdir(filepath.Join(directory, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca.IdentityPath(directory), append(block("CERTIFICATE", der), block("PRIVATE KEY", encoded)...), 0o600); err != nil {
		t.Fatal(err)
	}
	authority, err := ca.Load(directory, at(noon))
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func TestCRLNeedsTheRight(t *testing.T) {
	for word, template := range map[string]x509.Certificate{
		"cRLSign":                {KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1}},
		"subject key identifier": {KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign},
	} {
		_, _, err := identityWith(t, template).CRL(capf.Revocations{}, 1, time.Hour)
		if !capf.HasCode(err, capf.CodeRefused) || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "ca renew") {
			t.Errorf("without %s: %v", word, err)
		}
	}
}

// A CRL is signed in the time of its issuer alone, and reaches no further than that.
func TestCRLInTheTimeOfItsIssuer(t *testing.T) {
	moment := noon
	authority, err := ca.New(ca.Options{CommonName: "CAPF-test", KeySize: 2048}, ca.Environment{Clock: func() time.Time { return moment }, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	begins, ends := authority.Certificate.NotBefore, authority.Certificate.NotAfter
	for _, test := range []struct {
		at    time.Time
		until time.Time // zero: refused
		code  capf.Code
		words string
	}{
		{begins.Add(-time.Second), time.Time{}, capf.CodeUnavailable, "check the clock"},
		{begins, begins.Add(48 * time.Hour), "", ""},
		{ends.Add(-48 * time.Hour), ends, "", ""},
		{ends.Add(-time.Hour), ends, "", ""},
		{ends, time.Time{}, capf.CodeRefused, "all that it issued with it"},
		{ends.AddDate(1, 0, 0), time.Time{}, capf.CodeRefused, "take it off the servers"},
	} {
		moment = test.at
		der, until, err := authority.CRL(capf.Revocations{}, 1, 48*time.Hour)
		if test.until.IsZero() {
			if !capf.HasCode(err, test.code) || !strings.Contains(err.Error(), test.words) || der != nil {
				t.Errorf("at %s: %v", test.at, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil || !list.NextUpdate.Equal(test.until) || !until.Equal(test.until) {
			t.Errorf("at %s: until %s, %v", test.at, until, err)
		}
	}
}

// What OpenSSL makes of a CRL: the signature is good, the revoked LSC is refused, the other is not.
func TestCRLByOpenSSL(t *testing.T) {
	now := time.Now()
	authority := newAuthority(t, now)
	var leaves []*x509.Certificate
	for range 2 {
		der, err := authority.Issue(context.Background(), capf.LSCRequest{Device: "SEP0011223344AA", PublicKey: &rsaKey(t, 1024).PublicKey})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	list, _, err := authority.CRL(capf.Revocations{Entries: []capf.Revocation{
		{Serial: capf.FormatSerial(leaves[0].SerialNumber), RevokedAt: now, Reason: capf.RevokeKeyCompromise}}}, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	issuer, crl := writePEM(t, "CERTIFICATE", authority.Certificate.Raw), writePEM(t, "X509 CRL", list)
	if said, err := openssl(t, "crl", "-in", crl, "-CAfile", issuer, "-noout", "-text", "-verify"); err != nil || !strings.Contains(said, "verify OK") ||
		!strings.Contains(said, "Key Compromise") {
		t.Errorf("%v: %s", err, said)
	}
	for i, want := range []string{"certificate revoked", ": OK"} {
		said, _ := openssl(t, "verify", "-auth_level", "0", "-crl_check", "-CAfile", issuer, "-CRLfile", crl, writePEM(t, "CERTIFICATE", leaves[i].Raw))
		if !strings.Contains(said, want) {
			t.Errorf("LSC %d: no %q in: %s", i, want, said)
		}
	}
}
