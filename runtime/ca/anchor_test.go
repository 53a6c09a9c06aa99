package ca_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

func block(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

func TestReadAnchors(t *testing.T) {
	one, two := newAuthority(t, noon).Certificate.Raw, newAuthority(t, noon).Certificate.Raw
	for name, test := range map[string]struct {
		content []byte
		count   int
		want    string // of the error
	}{
		"DER":                {one, 1, ""},
		"PEM":                {block("CERTIFICATE", one), 1, ""},
		"several, with text": {bytes.Join([][]byte{[]byte("one:\n"), block("CERTIFICATE", one), []byte("two:\n"), block("CERTIFICATE", two)}, nil), 2, ""},
		"one of them twice":  {bytes.Repeat(block("CERTIFICATE", one), 2), 1, ""},
		"nothing":            {nil, 0, "neither PEM nor"},
		"text":               {[]byte("hello"), 0, "neither PEM nor"},
		"two in DER":         {append(bytes.Clone(one), two...), 0, "neither PEM nor"},
		"a key":              {append(block("CERTIFICATE", one), block("PRIVATE KEY", []byte("secret"))...), 0, `PEM block 2: "PRIVATE KEY" is no certificate`},
		"torn":               {block("CERTIFICATE", one[:100]), 0, "PEM block 1"},
		"too long":           {bytes.Repeat([]byte("x"), ca.MaxAnchorFile+1), 0, "more than"},
		"too many":           {bytes.Repeat(block("CERTIFICATE", one), 300), 0, "more than 200 certificates"},
	} {
		found, err := ca.ReadAnchors(test.content)
		if len(found) != test.count || (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %d certificates, %v", name, len(found), err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a key", name)
		}
	}
}

// withMD5 makes of a certificate signed with SHA-1 one that says it is signed with MD5; nobody verifies that.
func withMD5(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	sha1, md5 := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5}, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4}
	if bytes.Count(der, sha1) != 2 {
		t.Fatal("not signed with SHA-1")
	}
	certificate, err := x509.ParseCertificate(bytes.ReplaceAll(der, sha1, md5))
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// selfSigned makes a certificate by a template.
func selfSigned(t *testing.T, template x509.Certificate) []byte {
	t.Helper()
	template.SerialNumber, template.Subject = big.NewInt(7), pkix.Name{CommonName: "anchor"}
	template.NotBefore, template.NotAfter = noon, noon.Add(time.Hour)
	key := rsaKey(t, 1024)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCheckAnchor(t *testing.T) {
	authority := newAuthority(t, noon)
	parse := func(der []byte) *x509.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return certificate
	}
	leaf, err := authority.Issue(context.Background(), capf.LSCRequest{Device: "SEP0011223344AA", PublicKey: &rsaKey(t, 1024).PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	broken := selfSigned(t, x509.Certificate{})
	broken[len(broken)-1] ^= 1
	for name, test := range map[string]struct {
		certificate *x509.Certificate
		want        string
		weak        bool
	}{
		"CAPF":                            {authority.Certificate, "", false},
		"says nothing of a CA":            {parse(selfSigned(t, x509.Certificate{})), "", false},
		"SHA-1":                           {parse(selfSigned(t, x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA})), "", false},
		"an LSC":                          {parse(leaf), "it is no CA", false},
		"self-signed, but no CA":          {parse(selfSigned(t, x509.Certificate{BasicConstraintsValid: true})), "it is no CA", false},
		"not of its own key":              {parse(broken), "not of its own key", false},
		"MD5":                             {withMD5(t, selfSigned(t, x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA})), "--force", true},
		"MD5 and no CA: not to be forced": {withMD5(t, selfSigned(t, x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA, BasicConstraintsValid: true})), "it is no CA", false},
	} {
		err := ca.CheckAnchor(test.certificate)
		if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) || ca.IsWeakAnchor(err) != test.weak {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzReadAnchors: whatever is read, each certificate is one, comes once, and encodes to what it was read from.
func FuzzReadAnchors(f *testing.F) {
	authority, err := ca.New(ca.Options{KeySize: 2048}, at(noon))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(authority.Certificate.Raw)
	f.Add(block("CERTIFICATE", authority.Certificate.Raw))
	f.Add(bytes.Repeat(block("CERTIFICATE", authority.Certificate.Raw), 2))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := ca.ReadAnchors(content)
		if err != nil && found != nil || err == nil && len(found) == 0 {
			t.Fatalf("%d certificates and %v", len(found), err)
		}
		var encoded []byte
		for _, certificate := range found {
			encoded = append(encoded, block("CERTIFICATE", certificate.Raw)...)
			_ = ca.CheckAnchor(certificate)
		}
		if again, err := ca.ReadAnchors(encoded); found != nil && (err != nil || len(again) != len(found)) {
			t.Fatalf("read again: %d certificates instead of %d, %v", len(again), len(found), err)
		}
	})
}
