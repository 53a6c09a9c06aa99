package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// issued is a certificate with its key.
type issued struct {
	*x509.Certificate
	key crypto.Signer
}

// issue makes a certificate for a key, signed by another one; nil: by itself.
func issue(t *testing.T, name string, key crypto.Signer, by *issued) *issued {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if by == nil {
		by = &issued{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{certificate, key}
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// chain is a root, an intermediate and a server, with EC keys of three curves.
func chain(t *testing.T) (root, middle, server *issued) {
	t.Helper()
	root = issue(t, "root", ecKey(t, elliptic.P521()), nil)
	middle = issue(t, "middle", ecKey(t, elliptic.P384()), root)
	return root, middle, issue(t, "server", ecKey(t, elliptic.P256()), middle)
}

func pemOf(kind string, ders ...[]byte) []byte {
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return text
}

func TestChosenCertificate(t *testing.T) {
	root, middle, server := chain(t)
	stranger := issue(t, "stranger", ecKey(t, elliptic.P256()), nil)
	renewed := issue(t, "root", ecKey(t, elliptic.P256()), nil) // another one of the same name, by itself
	secret, err := x509.MarshalECPrivateKey(server.key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	many := make([][]byte, 17)
	for i := range many {
		many[i] = server.Raw
	}
	for name, test := range map[string]struct {
		content []byte
		want    *issued
		fault   string
	}{
		"DER":                {server.Raw, server, ""},
		"PEM":                {pemOf("CERTIFICATE", server.Raw), server, ""},
		"root alone":         {pemOf("CERTIFICATE", root.Raw), root, ""},
		"from the server up": {pemOf("CERTIFICATE", server.Raw, middle.Raw, root.Raw), server, ""},
		"from the root down": {pemOf("CERTIFICATE", root.Raw, middle.Raw, server.Raw), server, ""},
		"twice":              {pemOf("CERTIFICATE", server.Raw, middle.Raw, server.Raw), server, ""},
		"with text":          {slices.Concat([]byte("subject=server\n"), pemOf("CERTIFICATE", server.Raw), []byte("\n\x1a")), server, ""},
		"behind its key":     {slices.Concat(pemOf("EC PARAMETERS", []byte{6, 1, 0}), pemOf("EC PRIVATE KEY", secret), pemOf("CERTIFICATE", server.Raw)), server, ""},
		"two ends":           {pemOf("CERTIFICATE", server.Raw, stranger.Raw), nil, "of its 2 certificates 2 issued none"},
		"two of one name":    {pemOf("CERTIFICATE", root.Raw, renewed.Raw), nil, "of its 2 certificates 2 issued none"},
		"a key alone":        {pemOf("EC PRIVATE KEY", secret), nil, "none is a certificate"},
		"no certificate":     {pemOf("CERTIFICATE", server.Raw, []byte("x")), nil, "certificate 2: "},
		"too many":           {pemOf("CERTIFICATE", many...), nil, "it has 17 certificates"},
		"nothing":            {nil, nil, "x509: "},
		"text":               {[]byte("hello"), nil, "x509: "},
	} {
		got, err := chosenCertificate(test.content)
		switch {
		case test.want == nil:
			if err == nil || got != nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%s: %v, want %q", name, err, test.fault)
			}
		case err != nil || !bytes.Equal(got.Raw, test.want.Raw):
			t.Errorf("%s: %v, want %s", name, err, test.want.Subject)
		}
	}
}

func TestCheckListKey(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key         crypto.Signer
		newer, good bool
	}{"RSA": {rsaKey, false, true}, "EC": {ecKey(t, elliptic.P384()), true, true}, "Edwards": {edwards, false, false}} {
		newer, err := checkListKey(issue(t, name, test.key, nil).Certificate)
		if newer != test.newer || err == nil != test.good {
			t.Errorf("%s: %t, %v", name, newer, err)
		}
	}
}
