package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"capf/runtime/capf"
)

// A phone may show any certificate. Whoever prints its trace must not have its terminal obey it, or take a line for ours
// that is the phone's.
func TestTraceOfAHostileCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const forged = "SHA-256:             00"
	hostile := func(name string) pkix.Name {
		return pkix.Name{CommonName: name + "\x1b[2J\x07", Organization: []string{"first\r\n" + forged}, OrganizationalUnit: []string{"\u202egnp\u2066.\u009b31m"}}
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: hostile("phone"), NotBefore: noonOfTrial, NotAfter: noonOfTrial.AddDate(1, 0, 0),
		DNSNames: []string{"\x1b]0;title\x07\n" + forged}, EmailAddresses: []string{"\x1b[31m@x"}}
	issuer := &x509.Certificate{Subject: hostile("issuer")}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := (traces{folder: folder}).WriteTrace(deviceA, capf.LSC, certificate, noonOfTrial); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, deviceA+"-LSC.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("what a terminal obeys is in the line %q", line)
		}
		if line == forged {
			t.Errorf("a line of the phone's reads as ours: %q", line)
		}
	}
	for _, want := range []string{"phone", "issuer", `\x1b[2J`, `\r\n` + forged, `\u202egnp`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in:\n%q", want, text)
		}
	}
}
