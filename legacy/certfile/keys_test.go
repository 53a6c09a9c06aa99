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
	"strings"
	"testing"

	"capf/legacy/certfile"
)

// A public key is no secret, and nobody is told to hold a key for disclosed.
func TestPublicKeysAreNoSecret(t *testing.T) {
	capf := selfSigned(t, "CAPF", 1024, nil)
	spki, err := x509.MarshalPKIXPublicKey(&capf.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&capf.key.PublicKey)
	good := block("CERTIFICATE", capf.der)
	for name, test := range map[string]struct {
		content string
		secret  bool
	}{
		"PEM": {block("PUBLIC KEY", spki), false}, "PKCS #1 in PEM": {block("RSA PUBLIC KEY", pkcs1), false},
		"under another label": {block("CERTIFICATE", spki), false},
		"DER":                 {string(spki), false}, "PKCS #1 in DER": {string(pkcs1), false},
		"with more behind it":     {block("PUBLIC KEY", append(bytes.Clone(spki), pkcs1...)), false},
		"private, in its wrapper": {block("PUBLIC KEY", x509.MarshalPKCS1PrivateKey(capf.key)), true},
	} {
		t.Run(name, func(t *testing.T) {
			content := test.content
			if !strings.Contains(name, "DER") {
				content = good + content + good
			}
			file := read(t, content, certfile.Options{})
			if warnedOfKey(t, file) != test.secret {
				t.Errorf("findings %v", reasons(file))
			}
			if withheld(content, file) != test.content {
				t.Errorf("kept: %v", kept(file))
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
	lines := strings.SplitAfter(key, "\n")
	for name, test := range map[string]struct {
		content      string
		certificates int
		warned       bool // it is known for a key
	}{
		"before the certificate": {key + good, 1, true}, "after it": {good + key, 1, true}, "between": {good + key + good, 2, true},
		"torn before it": {key[:400] + "\n" + good, 1, true}, "torn after it": {good + key[:400], 1, true}, "torn at its BEGIN": {good + key[:20], 1, false},
		"PKCS #8": {good + block("PRIVATE KEY", pkcs8), 1, true}, "encrypted": {good + block("ENCRYPTED PRIVATE KEY", encrypted), 1, true},
		"within the block":              {good[:200] + "\n" + key + good, 1, true},
		"under another label":           {block("CERTIFICATE", pkcs1) + good, 1, true},
		"PKCS #8 under another label":   {block("CERTIFICATE", pkcs8) + good, 1, true},
		"encrypted under another label": {block("CERTIFICATE", encrypted) + good, 1, true},
		"torn under another label":      {block("CERTIFICATE", pkcs1)[:400] + "\n" + good, 1, false},
		"without its beginning":         {good + key[100:], 1, true},
		"the middle of it":              {good + strings.Join(lines[4:9], "") + good, 2, false},
		"the middle, in UTF-16":         {utf16(strings.Join(lines[4:9], "")), 0, false},
		"in a comment":                  {"# " + strings.Join(lines[:8], "# ") + good, 1, true},
		"in DER":                        {string(pkcs1), 0, true}, "PKCS #8 in DER": {string(pkcs8), 0, true}, "encrypted in DER": {string(encrypted), 0, true},
		"torn in DER": {string(pkcs1[:200]), 0, false}, "in DER behind a line end": {"\r\n" + string(pkcs1), 0, false},
		"in DER after PEM": {good + string(pkcs8), 1, false}, "in DER behind damage after a certificate": {string(capf.der) + "\x00\x00" + string(pkcs1), 1, false},
		"in DER after the certificate": {string(capf.der) + string(pkcs8), 1, true}, "torn after a certificate in DER": {string(capf.der) + string(pkcs1[:200]), 1, false},
		"in hex": {good + fmt.Sprintf("%X\n", pkcs1), 1, false}, "two": {key + good + key, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			for form, content := range map[string]string{"LF": test.content, "CRLF": strings.ReplaceAll(test.content, "\n", "\r\n")} {
				if form == "CRLF" && (strings.Contains(name, "DER") || strings.Contains(name, "UTF-16")) {
					continue
				}
				file := read(t, content, certfile.Options{})
				if len(file.Certificates) != test.certificates {
					t.Errorf("%s: %d certificates", form, len(file.Certificates))
				}
				if warnedOfKey(t, file) != test.warned {
					t.Errorf("%s: findings %v", form, reasons(file))
				}
				// read has seen that no bytes are given but those of certificates.
				for _, certificate := range file.Certificates {
					if !bytes.Equal(certificate.DER, capf.der) {
						t.Errorf("%s: a certificate that is none", form)
					}
				}
				if strings.Contains(fmt.Sprintf("%v %+v %#v", file.Findings, file.Findings, file.Kept), lines[4][:20]) {
					t.Errorf("%s: key text is shown", form)
				}
			}
		})
	}
}

func utf16(text string) string {
	out := []byte{0xff, 0xfe}
	for _, b := range []byte(text) {
		out = append(out, b, 0)
	}
	return string(out)
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
		"key":                 {string(rsa1) + "\r\n" + pem, 1, 1},
		"certificate":         {string(holder.der) + pem, 2, 0},
		"certificate and key": {string(holder.der) + string(rsa1) + pem, 2, 1},
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
