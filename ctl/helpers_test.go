//go:debug rsa1024min=0
//go:debug x509negativeserial=1

package ctl

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The settings above are those of the program: tokens may have 512 bits, and old certificates have
// negative serial numbers.

const data = "../testdata/ctl"

func loadToken(t testing.TB, name string) *Token {
	t.Helper()
	token, err := LoadToken(filepath.Join(data, "tokens", name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func loadCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(readFile(t, filepath.Join(data, "servers", name+".pem")))
	if block == nil {
		t.Fatalf("%s: no PEM block", name)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sampleContents is what the golden lists were made of.
func sampleContents(t testing.TB) Contents {
	t.Helper()
	return Contents{
		Tokens: []SAST{
			{Name: "first", Certificate: loadToken(t, "1024").Certificate},
			{Name: "second", Certificate: loadToken(t, "2048").Certificate},
		},
		Servers: []Server{
			{Name: "pub", DNSName: "publisher.example", Address: netip.MustParseAddr("10.1.2.3"), Role: RoleCCMTFTP, Certificate: loadCertificate(t, "publisher")},
			{Name: "10.1.2.4", Address: netip.MustParseAddr("10.1.2.4"), Role: RoleTFTP, Certificate: loadCertificate(t, "ec")},
		},
		CAPF: []Server{
			{Name: "pub", DNSName: "publisher.example", Address: netip.MustParseAddr("10.1.2.3"), Certificate: loadCertificate(t, "capf")},
		},
		Timestamp: time.Unix(1100000000, 0),
	}
}

func mustBuild(t testing.TB, contents Contents, signer *Token) []byte {
	t.Helper()
	raw, err := Build(contents, signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
