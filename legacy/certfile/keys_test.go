package certfile_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"

	"capf/legacy"
	"capf/legacy/certfile"
)

// A public key is no secret: its lines are kept aside, and nobody is told to hold a key for disclosed. What is no more
// than the beginning of one could be the beginning of a private key as well.
func TestPublicKeysAreKept(t *testing.T) {
	capf := selfSigned(t, "CAPF", 1024, nil)
	spki, err := x509.MarshalPKIXPublicKey(&capf.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&capf.key.PublicKey)
	good := block("CERTIFICATE", capf.der)
	for name, test := range map[string]struct {
		content string
		kept    bool
	}{
		"PEM": {block("PUBLIC KEY", spki), true}, "PKCS #1 in PEM": {block("RSA PUBLIC KEY", pkcs1), true},
		"under another label": {block("CERTIFICATE", spki), true},
		"DER":                 {string(spki), true}, "PKCS #1 in DER": {string(pkcs1), true},
		"torn in PEM":             {block("PUBLIC KEY", spki[:100]), false},
		"with more behind it":     {block("PUBLIC KEY", append(bytes.Clone(spki), pkcs1...)), false},
		"private, in its wrapper": {block("PUBLIC KEY", x509.MarshalPKCS1PrivateKey(capf.key)), false},
	} {
		t.Run(name, func(t *testing.T) {
			content := test.content
			if !strings.Contains(name, "DER") {
				content = good + content + good
			}
			file := read(t, content, certfile.Options{})
			warned := strings.Contains(strings.Join(reasons(file), "\n"), legacy.PrivateKeyAdvice)
			if warned == test.kept {
				t.Errorf("warned: %v; findings %v", warned, reasons(file))
			}
			if whole := bytes.Contains(bytesOf(file), []byte(test.content)); whole != test.kept {
				t.Errorf("kept: %v; %v", whole, kept(file))
			}
		})
	}
}

// A private key is never given, whatever its form and its label, whole or torn; the finding says what to do.
func TestPrivateKeys(t *testing.T) {
	capf := selfSigned(t, "CAPF", 1024, nil)
	pkcs1 := x509.MarshalPKCS1PrivateKey(capf.key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(capf.key)
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := asn1.Marshal(struct {
		Algorithm struct{ ID asn1.ObjectIdentifier }
		Content   []byte
	}{struct{ ID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}}, pkcs8})
	if err != nil {
		t.Fatal(err)
	}
	good := block("CERTIFICATE", capf.der)
	key := block("RSA PRIVATE KEY", pkcs1)
	for name, content := range map[string]string{
		"before the certificate": key + good, "after it": good + key, "torn before it": key[:400] + "\n" + good,
		"torn after it": good + key[:400], "PKCS #8": good + block("PRIVATE KEY", pkcs8),
		"encrypted": good + block("ENCRYPTED PRIVATE KEY", encrypted), "within the block": good[:200] + "\n" + key + good,
		"under another label": block("CERTIFICATE", pkcs1) + good, "PKCS #8 under another label": block("CERTIFICATE", pkcs8) + good,
		"encrypted under another label": block("CERTIFICATE", encrypted) + good,
		"torn under another label":      block("CERTIFICATE", pkcs1)[:400] + "\n" + good,
		"in DER":                        string(pkcs1), "PKCS #8 in DER": string(pkcs8), "encrypted in DER": string(encrypted), "torn in DER": string(pkcs1[:200]),
		"in DER behind a line end": "\r\n" + string(pkcs1), "PKCS #8 in DER after PEM": good + string(pkcs8),
		"encrypted in DER after PEM":               good + string(encrypted),
		"in DER behind damage after a certificate": string(capf.der) + "\x00\x00" + string(pkcs1),
		"after it, without its beginning":          good + key[100:],
		"in DER after the certificate":             string(capf.der) + string(pkcs8), "torn after a certificate in DER": string(capf.der) + string(pkcs1[:200]),
	} {
		t.Run(name, func(t *testing.T) {
			file := read(t, content, certfile.Options{})
			if wanted := strings.Contains(name, "DER") == (len(file.Certificates) == 0) || strings.Contains(name, "after"); !wanted {
				t.Errorf("%d certificates", len(file.Certificates))
			}
			if !strings.Contains(strings.Join(reasons(file), "\n"), legacy.PrivateKeyAdvice) {
				t.Errorf("findings %v", reasons(file))
			}
			given := fmt.Sprintf("%s %v", bytesOf(file), file.Findings)
			// The first bytes of a key are its modulus, which the certificate has as well; then comes what is private.
			for _, part := range []string{
				string(pkcs1[160:195]), strings.Split(key, "\n")[4], strings.Split(block("X", pkcs8), "\n")[5],
				strings.Split(block("X", encrypted), "\n")[5],
			} {
				if strings.Contains(given, part) {
					t.Errorf("key text is given")
				}
			}
		})
	}
}

// Keys of elliptic curves are so short in DER that their length has another form than that of RSA keys. Wherever one
// stands, it is withheld, and nothing but it.
func TestShortKeysInDER(t *testing.T) {
	holder := selfSigned(t, "CAPF", 1024, nil)
	good := block("CERTIFICATE", holder.der)
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sec1, err := x509.MarshalECPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		scalar, err := private.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for form, key := range map[string]string{"SEC 1": string(sec1), "PKCS #8": string(pkcs8)} {
			for place, content := range map[string]string{
				"before": "text\r\n" + key + good, "after": good + key, "torn after": good + key[:len(key)-20],
				"between": good + key + good, "after text": good + "text\r\n" + key,
			} {
				t.Run(curve.Params().Name+" "+form+" "+place, func(t *testing.T) {
					file := read(t, content, certfile.Options{})
					if want := strings.Count(content, "-----END CERTIFICATE"); len(file.Certificates) != want {
						t.Errorf("%d certificates, not %d", len(file.Certificates), want)
					}
					if strings.Contains(string(bytesOf(file)), string(scalar[4:12])) {
						t.Error("the key is given")
					}
					if !slices.ContainsFunc(file.Kept, func(line legacy.KeptLine) bool { return line.PrivateKey }) {
						t.Error("no key is told of")
					}
				})
			}
		}
	}
}

// What is alone in its file and begins with a short key goes on behind it.
func TestShortKeyBeforeCertificate(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := read(t, string(sec1)+"\n"+block("CERTIFICATE", selfSigned(t, "CAPF", 1024, nil).der), certfile.Options{})
	if len(file.Certificates) != 1 || len(file.Kept) != 1 || !file.Kept[0].PrivateKey || file.Kept[0].SHA256 != sha256.Sum256(sec1) {
		t.Errorf("%d certificates, kept %v", len(file.Certificates), file.Kept)
	}
}

// A certificate in PEM is read behind whatever is whole in DER before it: a key of RSA, a certificate, both.
func TestCertificateBehindDER(t *testing.T) {
	holder := selfSigned(t, "CAPF", 1024, nil)
	rsa1, pem := x509.MarshalPKCS1PrivateKey(holder.key), block("CERTIFICATE", holder.der)
	for name, test := range map[string]struct {
		content            string
		certificates, keys int
	}{
		"key":                          {string(rsa1) + "\r\n" + pem, 1, 1},
		"certificate":                  {string(holder.der) + pem, 2, 0},
		"certificate and key":          {string(holder.der) + string(rsa1) + pem, 2, 1},
		"key, and key behind the text": {string(rsa1) + pem + string(rsa1), 1, 2},
	} {
		file := read(t, test.content, certfile.Options{})
		keys := 0
		for _, line := range file.Kept {
			if line.PrivateKey && line.SHA256 == sha256.Sum256(rsa1) && test.content[line.Offset:line.Offset+line.Size] == string(rsa1) {
				keys++
			}
		}
		if len(file.Certificates) != test.certificates || keys != test.keys || len(file.Kept) != keys {
			t.Errorf("%s: %d certificates, %d keys, kept %v", name, len(file.Certificates), keys, file.Kept)
		}
	}
}
