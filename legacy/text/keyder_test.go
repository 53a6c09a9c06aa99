package text_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"capf/legacy/text"
)

// wrapped cuts a text into lines of 64 characters.
func wrapped(whole string) string {
	var out strings.Builder
	for len(whole) > 64 {
		out.WriteString(whole[:64] + "\n")
		whole = whole[64:]
	}
	return out.String() + whole + "\n"
}

// must gives what a call made.
func must[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

// TestBareKeys: keys of every form in hex and base64 without marks are withheld, on one line or many; what
// else is in DER stays, and so does the line behind the key.
func TestBareKeys(t *testing.T) {
	key := must(rsa.GenerateKey(rand.Reader, 1024))
	curve := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CAPF-1"}}
	encrypted := append(must(hex.DecodeString("3082029e3040"+"06092a864886f70d01050d")), make([]byte, 657)...)
	for name, test := range map[string]struct {
		der    []byte
		secret bool
	}{
		"PKCS #1":        {x509.MarshalPKCS1PrivateKey(key), true},
		"PKCS #8":        {must(x509.MarshalPKCS8PrivateKey(key)), true},
		"SEC 1":          {must(x509.MarshalECPrivateKey(curve)), true},
		"PKCS #8 of EC":  {must(x509.MarshalPKCS8PrivateKey(curve)), true},
		"encrypted":      {encrypted, true},
		"public key":     {must(x509.MarshalPKIXPublicKey(key.Public())), false},
		"PKCS #1 public": {x509.MarshalPKCS1PublicKey(&key.PublicKey), false},
		"certificate":    {must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)), false},
		"request":        {must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)), false},
	} {
		digits, base := hex.EncodeToString(test.der), base64.StdEncoding.EncodeToString(test.der)
		for _, written := range []string{
			digits + "\n", wrapped(digits), strings.ToUpper(wrapped(digits)), "0x" + wrapped(digits), "Key=" + digits + "\n",
			base + "\n", wrapped(base), "a;\"" + base + "\"\n",
		} {
			shown, withheld := linesOf(t, "a;b\n"+written+"000AB8001C40\nSEP000AB8001C40;install\n", text.Windows1252)
			want := "a;b\n000AB8001C40\nSEP000AB8001C40;install\n"
			if !test.secret {
				want = "a;b\n" + written + "000AB8001C40\nSEP000AB8001C40;install\n"
			}
			if shown != want || (withheld != "") != test.secret {
				t.Errorf("%s, %.20s: shown are\n%swithheld %s", name, written, shown, withheld)
			}
		}
	}
}

// TestKeyNumbers: the parts of a key without colons are known by their names; other numbers stay.
func TestKeyNumbers(t *testing.T) {
	digits, decimal := strings.Repeat("8f3a", 16), strings.Repeat("1234567890", 8)
	for _, secret := range []string{
		"privateExponent=" + digits, "privateExponent: 0x" + digits, "prime1 = " + decimal, "Coefficient: \"" + digits + "\"",
		"privateExponent:\n" + digits + "\n" + digits, "exponent2:\n  " + decimal, "private key: " + digits,
	} {
		if shown, withheld := linesOf(t, "a\n"+secret+"\nb;c\n", text.Windows1252); shown != "a\nb;c\n" || withheld == "" {
			t.Errorf("of %s are shown\n%s", secret, shown)
		}
	}
	for _, open := range []string{
		"SHA1 Fingerprint=" + digits[:40], digits[:40], "serial: " + digits[:32], "modulus=" + digits, "publicExponent: 65537", "prime: 000AB8001C40",
		"exponent=65537", "pub=" + digits,
	} {
		if shown, _ := linesOf(t, open+"\nb;c\n", text.Windows1252); shown != open+"\nb;c\n" {
			t.Errorf("of %s are shown\n%s", open, shown)
		}
	}
}

// TestTornBareKey: of a key that is cut off all that there is is withheld.
func TestTornBareKey(t *testing.T) {
	der := x509.MarshalPKCS1PrivateKey(must(rsa.GenerateKey(rand.Reader, 1024)))
	for _, written := range []string{wrapped(hex.EncodeToString(der))[:130], wrapped(base64.StdEncoding.EncodeToString(der))[:130]} {
		if shown, withheld := linesOf(t, written+"SEP000AB8001C40;install\n", text.Windows1252); shown != "SEP000AB8001C40;install\n" || withheld == "" {
			t.Errorf("of %.20s are shown\n%s", written, shown)
		}
	}
}
