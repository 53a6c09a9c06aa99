package ctl

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const maxTokenFile = 1 << 20

// Token is one of the administrator's security tokens, ready to sign. The signer may be a key in memory
// or in hardware.
type Token struct {
	Certificate *x509.Certificate
	Signer      crypto.Signer
}

// String names the token by its certificate; nothing of the key.
func (t *Token) String() string {
	if t == nil || t.Certificate == nil {
		return "token without a certificate"
	}
	return fmt.Sprintf("token %q", t.Certificate.Subject.String())
}

// GoString is String, so that no format prints the key.
func (t *Token) GoString() string { return t.String() }

// LoadToken reads a token from a PEM file of at most 1 MiB: one certificate and its RSA key (PKCS #1 or
// PKCS #8, not encrypted) of 512, 1024, 2048 or 4096 bits, in any order. Errors name the file and never
// quote it.
func LoadToken(path string) (*Token, error) {
	raw, err := readCapped(path, maxTokenFile)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	token, err := parseToken(raw)
	if err != nil {
		return nil, fmt.Errorf("token %s: %w", path, err)
	}
	return token, nil
}

func parseToken(raw []byte) (*Token, error) {
	blocks, err := parseTokenBlocks(raw)
	if err != nil {
		return nil, err
	}
	certificate, err := blocks.parseCertificate()
	if err != nil {
		return nil, err
	}
	key, err := blocks.parseKey()
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, errors.New("its key is not that of its certificate")
	}
	return &Token{Certificate: certificate, Signer: key}, nil
}

// CheckToken tells whether lists can be signed with the key of a certificate: nil if so.
func CheckToken(certificate *x509.Certificate) error {
	_, err := tokenKey(certificate)
	return err
}

// tokenKey returns the key of a token's certificate if lists can be signed with it.
func tokenKey(certificate *x509.Certificate) (*rsa.PublicKey, error) {
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %s: a token has an RSA key", certificate.PublicKeyAlgorithm)
	}
	if _, ok := ModulusOf(key.N.BitLen()); !ok {
		return nil, fmt.Errorf("an RSA key of %d bits: a token has 512, 1024, 2048 or 4096", key.N.BitLen())
	}
	return key, nil
}

// tokenBlocks are the PEM blocks of a token's file.
type tokenBlocks struct{ certificates, keys []*pem.Block }

func readCapped(path string, limit int64) ([]byte, error) {
	// Looked at before it is opened: opening a named pipe would wait.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err := cmp.Or(err, file.Close()); err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return raw, nil
}

func parseTokenBlocks(raw []byte) (*tokenBlocks, error) {
	blocks := &tokenBlocks{}
	for {
		block, rest := pem.Decode(raw)
		if block == nil {
			return blocks, nil
		}
		raw = rest
		switch {
		case block.Type == "CERTIFICATE":
			blocks.certificates = append(blocks.certificates, block)
		case block.Type == "RSA PRIVATE KEY", block.Type == "PRIVATE KEY", block.Type == "ENCRYPTED PRIVATE KEY":
			blocks.keys = append(blocks.keys, block)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, errors.New("a private key that is not RSA: a token has an RSA key (PKCS #1 or #8)")
		}
	}
}

func (b *tokenBlocks) parseCertificate() (*x509.Certificate, error) {
	if len(b.certificates) != 1 {
		return nil, fmt.Errorf("%d PEM certificates: a token's file has one, and its RSA key", len(b.certificates))
	}
	certificate, err := x509.ParseCertificate(b.certificates[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("its certificate cannot be read: %w", err)
	}
	if _, err := tokenKey(certificate); err != nil {
		return nil, err
	}
	return certificate, nil
}

// parseKey reads the key. What the parsers say is not passed on: it is about bytes that are secret.
func (b *tokenBlocks) parseKey() (*rsa.PrivateKey, error) {
	if len(b.keys) != 1 {
		return nil, fmt.Errorf("%d PEM private keys: a token's file has one, and its certificate", len(b.keys))
	}
	block := b.keys[0]
	defer clear(block.Bytes)
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("its private key is encrypted: store it without a passphrase, readable for its owner only")
	}
	var key any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errors.New("its private key cannot be read: PKCS #1 or PKCS #8 is expected")
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("a private key that is not RSA: a token has an RSA key (PKCS #1 or #8)")
	}
	if !slices.Contains(modulusBits, private.N.BitLen()) {
		return nil, fmt.Errorf("an RSA key of %d bits: a token has 512, 1024, 2048 or 4096", private.N.BitLen())
	}
	return private, nil
}
