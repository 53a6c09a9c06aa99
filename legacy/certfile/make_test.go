package certfile_test

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// made is a certificate and its key.
type made struct {
	der    []byte
	parsed *x509.Certificate
	key    *rsa.PrivateKey
}

var now = time.Date(2006, time.May, 1, 12, 0, 0, 0, time.UTC)

// selfSigned makes a certificate that is valid around now, changed as the caller wishes.
func selfSigned(t testing.TB, name string, bits int, change func(*x509.Certificate)) made {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), SignatureAlgorithm: x509.SHA1WithRSA,
	}
	if change != nil {
		change(template)
	}
	return finish(t, template, template, key, key)
}

func (m made) issue(t testing.TB, name string) made {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4712), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), SignatureAlgorithm: x509.SHA1WithRSA,
	}
	return finish(t, template, m.parsed, m.key, m.key)
}

func finish(t testing.TB, template, parent *x509.Certificate, own, signer *rsa.PrivateKey) made {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made{der, parsed, own}
}

// resigned replaces bytes of the signed part by others of the same length, and signs it with MD5.
func (m made) resigned(t testing.TB, replace, by []byte) []byte {
	t.Helper()
	marshal := func(value any) []byte {
		der, err := asn1.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	weak := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
	body := bytes.ReplaceAll(m.parsed.RawTBSCertificate, marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}), marshal(weak))
	body = bytes.Replace(body, replace, by, 1)
	digest := md5.Sum(body)
	signature, err := rsa.SignPKCS1v15(nil, m.key, crypto.MD5, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return marshal(struct {
		Body      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: body},
		pkix.AlgorithmIdentifier{Algorithm: weak, Parameters: asn1.NullRawValue},
		asn1.BitString{Bytes: signature, BitLength: len(signature) * 8},
	})
}

func block(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}
