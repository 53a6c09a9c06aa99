package ca

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"strings"

	"capf/runtime/capf"
)

// TokenKey is an RSA key that lies in a token (PKCS #11) and never leaves it. Whoever starts the program knows how to
// get at such keys, and gives them by Environment.TokenKey; they are opened when they are used.
type TokenKey interface {
	crypto.Signer
	crypto.Decrypter
	// Uses opens the token and tells what the key can do beside signatures of PKCS #1 v1.5.
	Uses() (decrypt, pss bool, err error)
}

// NewTokenKey makes a key in a token, or takes one that is there: an RSA key of these many bits, or of a size that is
// allowed for a CAPF key. The reference is what Environment.TokenKey finds it by again.
type NewTokenKey func(bits int) (key TokenKey, reference string, err error)

// In the file of an identity whose key lies in a token, this block stands in place of the key.
const (
	referenceBlock  = "PKCS11 KEY"
	referenceHeader = "URI"
	maxReference    = 4096
)

// encodeReference gives the block that names a key in a token.
func encodeReference(reference string) ([]byte, error) {
	if reference == "" || len(reference) > maxReference || strings.ContainsAny(reference, "\r\n") {
		return nil, &capf.Error{Code: capf.CodeInternal, Message: "the reference to the CAPF key cannot be kept in a file"}
	}
	return pem.EncodeToMemory(&pem.Block{Type: referenceBlock, Headers: map[string]string{referenceHeader: reference}}), nil
}

// parseReference reads what encodeReference wrote.
func parseReference(block *pem.Block) (string, error) {
	reference := block.Headers[referenceHeader]
	if reference == "" || len(reference) > maxReference || len(block.Bytes) > 0 {
		return "", errors.New("the reference to a key in a token cannot be read")
	}
	return reference, nil
}

// tokenKey gives the key of a certificate by its reference; the token is not opened.
func (e Environment) tokenKey(reference string, public crypto.PublicKey) (crypto.Signer, error) {
	key, isRSA := public.(*rsa.PublicKey)
	if !isRSA {
		return nil, errors.New("the certificate is not one of an RSA key")
	}
	if e.TokenKey == nil {
		return absentKey{key}, nil
	}
	return e.TokenKey(reference, key)
}

// absentKey stands for a key in a token where only its certificate is of interest.
type absentKey struct{ public *rsa.PublicKey }

func (k absentKey) Public() crypto.PublicKey { return k.public }

func (k absentKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, &capf.Error{Code: capf.CodeInternal, Message: "the CAPF key lies in a token, which was not made available here"}
}

// InToken gives the reference to the key where it lies in a token; empty where it lies in the file.
func (a *Authority) InToken() string { return a.reference }

// Ready opens the token in which the key lies, and gives, a line each for a person, what will not work with it;
// handshakes do without that from then on. For a key in a file there is nothing to do and to say. It is called before
// others use the authority.
func (a *Authority) Ready() (notes []string, err error) {
	key, inToken := a.signer.(TokenKey)
	if !inToken {
		return nil, nil
	}
	decrypt, pss, err := key.Uses()
	if err != nil {
		return nil, err
	}
	a.noDecrypt, a.noPSS = !decrypt, !pss
	if !decrypt {
		notes = append(notes, "the token of the CAPF key cannot decrypt: there is no RSA key exchange, and phones that know no other cannot connect (TLS 1.0 of the 79xx family)")
	}
	if !pss {
		notes = append(notes, "the token of the CAPF key makes no PSS signatures: TLS 1.3 falls away, phones connect by TLS 1.2 and below")
	}
	return notes, nil
}

// pkcs1Schemes are what a key without PSS can sign with in a handshake of TLS 1.2.
var pkcs1Schemes = []tls.SignatureScheme{tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512, tls.PKCS1WithSHA1}
