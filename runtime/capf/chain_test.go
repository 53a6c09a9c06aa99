package capf_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// identity is a certificate with its key.
type identity struct {
	*x509.Certificate
	key crypto.Signer
}

// certify makes a certificate from a template, signed by itself where by is nil. Valid from an hour before
// noon to an hour after it, unless the template says otherwise.
func certify(t *testing.T, template x509.Certificate, key crypto.Signer, by *identity) identity {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = noon.Add(-time.Hour), noon.Add(time.Hour)
	}
	withMD5 := template.SignatureAlgorithm == x509.MD5WithRSA
	if withMD5 {
		template.SignatureAlgorithm = x509.SHA256WithRSA // crypto/x509 makes none with MD5
	}
	if by == nil {
		by = &identity{&template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if withMD5 {
		der = signWithMD5(t, der, by.key)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return identity{parsed, key}
}

// signWithMD5 replaces a signature with SHA-256 by a good one with MD5.
func signWithMD5(t *testing.T, der []byte, key crypto.Signer) []byte {
	t.Helper()
	var parts struct {
		Signed    asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		t.Fatal(err)
	}
	withSHA256, withMD5 := []byte{42, 134, 72, 134, 247, 13, 1, 1, 11}, []byte{42, 134, 72, 134, 247, 13, 1, 1, 4}
	parts.Signed.FullBytes = bytes.Replace(parts.Signed.FullBytes, withSHA256, withMD5, 1)
	parts.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
	digest := md5.Sum(parts.Signed.FullBytes)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.MD5)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(key.Public().(*rsa.PublicKey), crypto.MD5, digest[:], signature); err != nil {
		t.Fatal(err)
	}
	parts.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	changed, err := asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// authority is the template of a CA.
func authority(name string) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true}
}

// named is the template of a phone's certificate.
func named(name string) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true}
}

func TestVerifyChain(t *testing.T) {
	expired := authority("CAPF-1")
	expired.NotBefore, expired.NotAfter = noon.AddDate(-3, 0, 0), noon.AddDate(-1, 0, 0)
	first, second := certify(t, expired, rsaKey(t), nil), certify(t, authority("CAPF-1"), rsaKey(t), nil) // one name
	curve, plain := certify(t, authority("CAPF-2"), ecKey(t), nil), certify(t, named("CAPF-3"), rsaKey(t), nil)
	old := certify(t, x509.Certificate{Subject: pkix.Name{CommonName: "CAPF-4"}}, rsaKey(t), nil) // says nothing of being a CA
	between := certify(t, authority("CAPF-5"), ecKey(t), &curve)
	signed := func(algorithm x509.SignatureAlgorithm, by identity) identity {
		template := named("SEP0011223344AA")
		template.SignatureAlgorithm = algorithm
		return certify(t, template, ecKey(t), &by)
	}
	all := []*x509.Certificate{first.Certificate, second.Certificate, curve.Certificate, plain.Certificate, old.Certificate}
	tests := []struct {
		name    string
		leaf    identity
		anchors []*x509.Certificate
		want    *x509.Certificate
		text    string
	}{
		{"expired anchor", signed(0, first), all, first.Certificate, ""},
		{"second of that name", signed(0, second), all, second.Certificate, ""},
		{"EC", signed(0, curve), all, curve.Certificate, ""},
		{"SHA-1", signed(x509.SHA1WithRSA, first), all, first.Certificate, ""},
		{"SHA-1 with EC", signed(x509.ECDSAWithSHA1, curve), all, curve.Certificate, ""},
		{"anchor that does not say whether it is a CA", signed(0, old), all, old.Certificate, ""},
		{"anchor that is an intermediate", signed(0, between), []*x509.Certificate{between.Certificate}, between.Certificate, ""},
		{"MD5", signed(x509.MD5WithRSA, first), all, nil, "insecure algorithm MD5-RSA"},
		{"no anchors", signed(0, first), nil, nil, "no trust anchor has the name of its issuer: CN=CAPF-1"},
		{"intermediate that is no anchor", signed(0, between), all, nil, "no trust anchor"},
		{"the name alone", signed(0, first), []*x509.Certificate{second.Certificate}, nil, "not signed by the trust anchor CN=CAPF-1"},
		{"no CA", signed(0, plain), all, nil, "the trust anchor CN=CAPF-3 is no CA"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			anchor, err := capf.VerifyChain(test.leaf.Certificate, test.anchors, noon)
			if anchor != test.want || (err == nil) != (test.want != nil) || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, %v; want %q", anchor != nil, err, test.text)
			}
		})
	}
}

// What is signed and the signature are covered, whichever bit changes.
func TestVerifyChainSeesEveryBit(t *testing.T) {
	anchor := certify(t, authority("CAPF-1"), rsaKey(t), nil)
	leaf := certify(t, named("SEP0011223344AA"), ecKey(t), &anchor)
	for place := range 8 * len(leaf.Raw) {
		der := bytes.Clone(leaf.Raw)
		der[place/8] ^= 1 << (place % 8)
		changed, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		if _, err := capf.VerifyChain(changed, []*x509.Certificate{anchor.Certificate}, noon); err == nil {
			t.Errorf("bit %d of %d is not covered", place, 8*len(leaf.Raw))
		}
	}
}

// The first and the last second of a certificate still count.
func TestVerifyChainInTime(t *testing.T) {
	anchor := certify(t, authority("CAPF-1"), ecKey(t), nil)
	leaf := certify(t, named("SEP0011223344AA"), ecKey(t), &anchor)
	for at, valid := range map[time.Time]bool{
		leaf.NotBefore.Add(-time.Second): false, leaf.NotBefore: true, noon: true, leaf.NotAfter: true, leaf.NotAfter.Add(time.Second): false,
	} {
		if _, err := capf.VerifyChain(leaf.Certificate, []*x509.Certificate{anchor.Certificate}, at); (err == nil) != valid ||
			err != nil && err.Error() != "the certificate is valid from 2026-03-01T11:00:00Z to 2026-03-01T13:00:00Z" {
			t.Errorf("at %s: %v", capf.FormatTime(at), err)
		}
	}
}

// An error does not carry all that a phone may have put into a name.
func TestVerifyChainShortensNames(t *testing.T) {
	stranger := certify(t, authority(strings.Repeat("x", 5000)), ecKey(t), nil)
	leaf := certify(t, named("SEP0011223344AA"), ecKey(t), &stranger)
	if _, err := capf.VerifyChain(leaf.Certificate, nil, noon); err == nil || len(err.Error()) > 200 {
		t.Errorf("%v", err)
	}
}

func TestKindOf(t *testing.T) {
	const phone = "SEP0011223344AA"
	for _, test := range []struct {
		name, device string
		want         capf.CertificateKind // empty: another's
	}{
		{phone, phone, capf.LSC},
		{"CP-7970G-" + phone, phone, capf.MIC},
		{"-" + phone, phone, capf.MIC},
		{"CSFALICE", "CSFALICE", capf.LSC},
		{"", phone, ""},
		{"SEP0011223344AB", phone, ""},
		{"sep0011223344aa", phone, ""},
		{"CP-7970G-SEP0011223344AB", phone, ""},
		{"CP-7970G" + phone, phone, ""}, // nothing between
		{phone + " ", phone, ""},
		{"CP-7970G-" + phone + "0", phone, ""},
		{"0011223344AA", phone, ""},
		{"-CSFALICE", "CSFALICE", ""}, // a soft phone has no MIC
		{"CP-7970G-" + phone, "CP-7970G-" + phone, capf.LSC},
		{"X-A", "A", ""},
	} {
		certificate := &x509.Certificate{Subject: pkix.Name{CommonName: test.name}}
		if kind, own := capf.KindOf(certificate, test.device); kind != test.want || own != (test.want != "") {
			t.Errorf("%q is %q, %v for %s; want %q", test.name, kind, own, test.device, test.want)
		}
	}
}
