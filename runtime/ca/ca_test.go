package ca_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(now time.Time) ca.Environment {
	return ca.Environment{Clock: func() time.Time { return now }, Random: rand.Reader}
}

func newAuthority(t *testing.T, now time.Time) *ca.Authority {
	t.Helper()
	authority, err := ca.New(ca.Options{CommonName: "CAPF-test", Organization: "Example", OrganizationalUnit: "Voice", KeySize: 2048}, at(now))
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func TestAuthorityCertificate(t *testing.T) {
	c := newAuthority(t, noon).Certificate
	if c.Subject.String() != "CN=CAPF-test,OU=Voice,O=Example" || !c.IsCA || !c.MaxPathLenZero || !c.BasicConstraintsValid {
		t.Errorf("certificate: %s, CA %v, path length %d", c.Subject, c.IsCA, c.MaxPathLen)
	}
	if want := x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageKeyEncipherment; c.KeyUsage != want {
		t.Errorf("key usage %b, want %b", c.KeyUsage, want)
	}
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) != 0 {
		t.Error("it has an extended key usage")
	}
	if len(c.SubjectKeyId) != 20 || !bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId) || c.SignatureAlgorithm != x509.SHA256WithRSA {
		t.Error("key identifiers or signature")
	}
	if !c.NotAfter.Equal(noon.AddDate(20, 0, 0)) || c.NotBefore.After(noon) {
		t.Errorf("valid from %s to %s", c.NotBefore, c.NotAfter)
	}
}

func TestAuthorityEndsBefore2050(t *testing.T) {
	c := newAuthority(t, time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)).Certificate
	if c.NotAfter.Year() != 2049 {
		t.Errorf("valid until %s", c.NotAfter)
	}
}

func TestAuthorityNames(t *testing.T) {
	generated, err := ca.New(ca.Options{KeySize: 2048}, at(noon))
	if err != nil || len(generated.Name()) != len("CAPF-00000000") || !strings.HasPrefix(generated.Name(), "CAPF-") {
		t.Errorf("generated name: %v, %v", generated, err)
	}
	for _, name := range []string{"../x", "a/b", `a\b`, ".x", " x", "x ", "-x", "x.", "a\nb", strings.Repeat("x", 65), "ü"} {
		if _, err := ca.New(ca.Options{CommonName: name, KeySize: 2048}, at(noon)); !capf.HasCode(err, capf.CodeInvalid) {
			t.Errorf("common name %q: %v", name, err)
		}
	}
	if _, err := ca.New(ca.Options{KeySize: 1024}, at(noon)); !capf.HasCode(err, capf.CodeInvalid) {
		t.Errorf("1024 bits: %v", err)
	}
}

func issue(t *testing.T, authority *ca.Authority, key crypto.PublicKey, parameters capf.Parameters) *x509.Certificate {
	t.Helper()
	der, err := authority.Issue(context.Background(), capf.LSCRequest{Device: "SEP0011223344AA", PublicKey: key, Parameters: parameters})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestLSC(t *testing.T) {
	authority := newAuthority(t, noon)
	c := issue(t, authority, &rsaKey(t, 1024).PublicKey, nil)
	if c.Subject.String() != "CN=SEP0011223344AA,OU=Voice,O=Example" || len(c.URIs) != 1 || c.URIs[0].String() != "SEP0011223344AA" {
		t.Errorf("subject %s, URIs %v", c.Subject, c.URIs)
	}
	if c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment || c.IsCA || !c.BasicConstraintsValid {
		t.Errorf("key usage %b, CA %v", c.KeyUsage, c.IsCA)
	}
	if want := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageIPSECEndSystem}; len(c.ExtKeyUsage) != 3 ||
		c.ExtKeyUsage[0] != want[0] || c.ExtKeyUsage[1] != want[1] || c.ExtKeyUsage[2] != want[2] {
		t.Errorf("extended key usages %v (D2)", c.ExtKeyUsage)
	}
	if c.SerialNumber.BitLen() < 120 || c.SerialNumber.BitLen() > 128 {
		t.Errorf("serial number of %d bits", c.SerialNumber.BitLen())
	}
	if start := noon.Add(-time.Hour); !c.NotBefore.Equal(start) || !c.NotAfter.Equal(start.AddDate(5, 0, 0)) {
		t.Errorf("valid from %s to %s", c.NotBefore, c.NotAfter)
	}
	if !bytes.Equal(c.AuthorityKeyId, authority.Certificate.SubjectKeyId) || len(c.SubjectKeyId) != 20 || c.SignatureAlgorithm != x509.SHA256WithRSA {
		t.Error("key identifiers or signature")
	}
	if err := c.CheckSignatureFrom(authority.Certificate); err != nil {
		t.Error(err)
	}
	if other := issue(t, authority, &rsaKey(t, 1024).PublicKey, nil); other.SerialNumber.Cmp(c.SerialNumber) == 0 {
		t.Error("the same serial number twice")
	}
}

func TestLSCOfAnECKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := issue(t, newAuthority(t, noon), &key.PublicKey, nil)
	if c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement {
		t.Errorf("key usage %b", c.KeyUsage)
	}
}

func TestLSCNeverOutlivesItsIssuer(t *testing.T) {
	directory := t.TempDir()
	authority, _, err := ca.Activate(directory, ca.Options{}, at(noon))
	if err != nil {
		t.Fatal(err)
	}
	late, err := ca.Load(directory, at(authority.Certificate.NotAfter.AddDate(0, 0, -10)))
	if err != nil {
		t.Fatal(err)
	}
	if c := issue(t, late, &rsaKey(t, 1024).PublicKey, nil); !c.NotAfter.Equal(authority.Certificate.NotAfter) {
		t.Errorf("LSC until %s, issuer until %s", c.NotAfter, authority.Certificate.NotAfter)
	}
	for _, now := range []time.Time{authority.Certificate.NotAfter.Add(time.Second), authority.Certificate.NotBefore.Add(-time.Second)} {
		wrong, err := ca.Load(directory, at(now))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wrong.Issue(context.Background(), capf.LSCRequest{Device: "X", PublicKey: &rsaKey(t, 1024).PublicKey}); !capf.HasCode(err, capf.CodeUnavailable) {
			t.Errorf("with the clock at %s: %v", now, err)
		}
	}
}

func TestActivateTwiceChangesNothing(t *testing.T) {
	directory := t.TempDir()
	first, created, err := ca.Activate(directory, ca.Options{CommonName: "CAPF one", Organization: "O"}, at(noon))
	if err != nil || !created {
		t.Fatal(created, err)
	}
	second, created, err := ca.Activate(directory, ca.Options{CommonName: "another"}, at(noon))
	if err != nil || created || !second.Certificate.Equal(first.Certificate) {
		t.Errorf("created %v, %v", created, err)
	}
	der, err := os.ReadFile(filepath.Join(directory, "CAPF.cer"))
	if err != nil || !bytes.Equal(der, first.Certificate.Raw) {
		t.Errorf("CAPF.cer: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(directory, "CAPF one.0"))
	if block, _ := pem.Decode(text); err != nil || block == nil || !bytes.Equal(block.Bytes, first.Certificate.Raw) {
		t.Errorf("the .0 file: %v", err)
	}
	info, err := os.Stat(filepath.Join(directory, "keys", "capf.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
}

func TestOfTwoActivationsOneWins(t *testing.T) {
	directory := t.TempDir()
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() { _, _, _ = ca.Activate(directory, ca.Options{}, at(noon)) })
	}
	running.Wait()
	authority, err := ca.Load(directory, at(noon))
	if err != nil {
		t.Fatal(err)
	}
	if c := issue(t, authority, &rsaKey(t, 1024).PublicKey, nil); c.CheckSignatureFrom(authority.Certificate) != nil {
		t.Error("key and certificate do not belong together")
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	if _, err := ca.Load(t.TempDir(), at(noon)); !capf.HasCode(err, capf.CodeNotActivated) || !strings.Contains(err.Error(), "capf init") {
		t.Errorf("no identity: %v", err)
	}
	directory := t.TempDir()
	if _, _, err := ca.Activate(directory, ca.Options{}, at(noon)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "keys", "capf.pem")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string][]byte{"empty": nil, "torn": content[:len(content)/2], "certificate alone": content[:bytes.Index(content, []byte("-----BEGIN PRIVATE"))]} {
		if err := os.WriteFile(path, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ca.Load(directory, at(noon))
		if !capf.HasCode(err, capf.CodeUnavailable) || strings.Contains(err.Error(), "MII") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A foreign program agrees that the LSC is what it should be.
func TestOpenSSLVerifiesAnLSC(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		missing(t, "openssl is needed: apt-get install openssl")
	}
	directory := t.TempDir()
	authority, _, err := ca.Activate(directory, ca.Options{CommonName: "CAPF"}, ca.System())
	if err != nil {
		t.Fatal(err)
	}
	leaf := filepath.Join(directory, "leaf.pem")
	for _, bits := range []int{1024, 2048} {
		c := issue(t, authority, &rsaKey(t, bits).PublicKey, nil)
		if err := os.WriteFile(leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		// Security level 1 takes keys of 1024 bits; which sizes there are is for the administrator.
		output, err := exec.Command(openssl, "verify", "-auth_level", "1", "-x509_strict", "-purpose", "sslclient", "-CAfile", filepath.Join(directory, "CAPF.0"), leaf).CombinedOutput()
		if err != nil {
			t.Errorf("%d bits: %v: %s", bits, err, output)
		}
	}
}

func missing(t *testing.T, message string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}

func TestIssueStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := newAuthority(t, noon).Issue(ctx, capf.LSCRequest{Device: "X"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkIssue(b *testing.B) {
	authority, err := ca.New(ca.Options{KeySize: 2048}, ca.System())
	if err != nil {
		b.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := authority.Issue(context.Background(), capf.LSCRequest{Device: "SEP0011223344AA", PublicKey: &key.PublicKey}); err != nil {
			b.Fatal(err)
		}
	}
}
