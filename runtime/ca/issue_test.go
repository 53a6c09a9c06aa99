package ca_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// opensslPath finds the program by which our output is checked.
func opensslPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err == nil {
		return path
	}
	const message = "openssl is not there: apt-get install openssl"
	if os.Getenv("CI") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// openssl runs it and gives all that it says, with its error.
func openssl(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	command := exec.Command(opensslPath(t), arguments...)
	command.Env = append(os.Environ(), "OPENSSL_CONF=/dev/null")
	output, err := command.CombinedOutput()
	return string(output), err
}

// writePEM puts certificates into a file.
func writePEM(t *testing.T, kind string, blocks ...[]byte) string {
	t.Helper()
	var content []byte
	for _, block := range blocks {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: block})...)
	}
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSignatureHash(t *testing.T) {
	authority := newAuthority(t, noon)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := writePEM(t, "CERTIFICATE", authority.Certificate.Raw)
	for hash, want := range map[capf.SignatureHash]x509.SignatureAlgorithm{"": x509.SHA256WithRSA, capf.HashSHA256: x509.SHA256WithRSA, capf.HashSHA1: x509.SHA1WithRSA} {
		der, err := authority.Issue(context.Background(), capf.LSCRequest{Device: "SEP0011223344AA", PublicKey: &key.PublicKey, Hash: hash})
		if err != nil {
			t.Fatalf("%q: %v", hash, err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil || certificate.SignatureAlgorithm != want {
			t.Errorf("%q: %v, %v", hash, certificate.SignatureAlgorithm, err)
		}
		if _, err := capf.VerifyChain(certificate, []*x509.Certificate{authority.Certificate}, noon); err != nil {
			t.Errorf("%q: %v", hash, err)
		}
		said, err := openssl(t, "verify", "-attime", "1772366400", "-auth_level", "0", "-CAfile", issuer, writePEM(t, "CERTIFICATE", der))
		if err != nil || !strings.Contains(said, ": OK") {
			t.Errorf("%q: openssl says %v: %s", hash, err, said)
		}
	}
	if _, err := authority.Issue(context.Background(), capf.LSCRequest{Device: "X", PublicKey: &key.PublicKey, Hash: "md5"}); !capf.HasCode(err, capf.CodeInvalid) {
		t.Errorf("md5: %v", err)
	}
}
