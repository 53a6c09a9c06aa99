package ctl

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadToken(t *testing.T) {
	for _, bits := range []int{512, 1024, 2048, 4096} {
		path := filepath.Join(data, "tokens", fmt.Sprint(bits, ".pem"))
		token, err := LoadToken(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := token.Signer.Public().(*rsa.PublicKey).N.BitLen(); got != bits {
			t.Errorf("%s: %d bits", path, got)
		}
	}
}

func block(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestLoadTokenRefuses(t *testing.T) {
	token, other := loadToken(t, "1024"), loadToken(t, "2048")
	certificate := block("CERTIFICATE", token.Certificate.Raw)
	key := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(token.Signer.(*rsa.PrivateKey)))
	curve := ecKey(t)
	ec, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("secret")})
	cases := []struct {
		name, want string
		content    []byte
	}{
		{"empty", "0 PEM certificates", nil},
		{"DER", "0 PEM certificates", token.Certificate.Raw},
		{"two certificates", "2 PEM certificates", join(certificate, certificate, key)},
		{"no key", "0 PEM private keys", certificate},
		{"two keys", "2 PEM private keys", join(certificate, key, key)},
		{"another's key", "not that of its certificate", join(block("CERTIFICATE", other.Certificate.Raw), key)},
		{"torn certificate", "its certificate cannot be read", join(block("CERTIFICATE", token.Certificate.Raw[:100]), key)},
		{"torn key", "its private key cannot be read", join(certificate, block("PRIVATE KEY", []byte{0x30, 0x82}))},
		{"EC key", "not RSA", join(certificate, block("PRIVATE KEY", ec))},
		{"EC PRIVATE KEY", "not RSA", join(certificate, block("EC PRIVATE KEY", ec))},
		{"EC certificate", "a key of type ECDSA", join(block("CERTIFICATE", loadCertificate(t, "ec").Raw), key)},
		{"encrypted", "is encrypted", join(certificate, encrypted)},
		{"encrypted PKCS #8", "is encrypted", join(certificate, block("ENCRYPTED PRIVATE KEY", []byte("secret")))},
		{"large", "more than 1048576 bytes", make([]byte, maxTokenFile+1)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token.pem")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := LoadToken(path)
			if loaded != nil || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, error %v instead of one with %q and the path", loaded, err, c.want)
			}
		})
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent.pem")} {
		if _, err := LoadToken(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestTokenHidesItsKey prints a token in every way there is.
func TestTokenHidesItsKey(t *testing.T) {
	token := loadToken(t, "1024")
	key := token.Signer.(*rsa.PrivateKey)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		printed := fmt.Sprintf(format, token)
		if !strings.Contains(printed, "SAST-1024") || strings.Contains(printed, key.D.String()) || strings.Contains(printed, key.Primes[0].Text(16)) || len(printed) > 100 {
			t.Errorf("%s: %s", format, printed)
		}
	}
}
