package session_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
)

// claimed is a public key whose private key the phone need not have.
type claimed struct{ key crypto.PublicKey }

func (c claimed) Public() crypto.PublicKey { return c.key }

func (claimed) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("nobody has the private key")
}

// installing is a phone that sends that key, whatever it is asked for.
func (s *service) installing(name string, key crypto.Signer) phone.Config {
	config := s.config(name)
	config.Keys = func(context.Context, string, capf.KeySize) (crypto.Signer, error) { return key, nil }
	return config
}

func newKey(t *testing.T, size capf.KeySize) crypto.Signer {
	t.Helper()
	key, err := phone.GenerateKey(t.Context(), device, size)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// withExponent is an RSA key of the same modulus: who has the private key of one has that of the other.
func withExponent(key crypto.Signer, exponent int) crypto.Signer {
	return claimed{&rsa.PublicKey{N: key.Public().(*rsa.PublicKey).N, E: exponent}}
}

// opposite is the EC key of the negated point: its private key is the other's, negated.
func opposite(t *testing.T, key crypto.Signer) crypto.Signer {
	t.Helper()
	public := key.Public().(*ecdsa.PublicKey)
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := (len(point) - 1) / 2
	y := new(big.Int).SetBytes(point[1+half:])
	y.Sub(public.Params().P, y).FillBytes(point[1+half:])
	negated, err := ecdsa.ParseUncompressedPublicKey(public.Curve, point)
	if err != nil {
		t.Fatal(err)
	}
	return claimed{negated}
}

// checkKeyRefused has a phone send a key for which nothing may be issued.
func (s *service) checkKeyRefused(t *testing.T, key crypto.Signer, size capf.KeySize, text string) {
	t.Helper()
	s.pending(device, capf.OperationInstall, size)
	outcome := s.call(s.installing(device, key))
	found := s.phone(device)
	if outcome.Err == nil || s.status(device) != capf.StatusFailed || *found.LastResult != capf.ResultFailed || len(s.certificates(device)) != 0 {
		t.Errorf("%v; status %s, result %v, %d certificates", outcome.Err, s.status(device), found.LastResult, len(s.certificates(device)))
	}
	if !strings.Contains(found.Last.Detail, text) {
		t.Errorf("the reason is %q, without %q", found.Last.Detail, text)
	}
}

// Public keys that are CAPF's own or another device's are refused, however they are written, and nothing is issued.
func TestKeysOfOthersAreRefused(t *testing.T) {
	s := newService(t, usual())
	const first, second = "SEP0011223344AB", "SEP0011223344AC"
	modulus, point := newKey(t, capf.RSA2048), newKey(t, capf.P256)
	for name, key := range map[string]crypto.Signer{first: modulus, second: point} {
		s.pending(name, capf.OperationInstall, map[string]capf.KeySize{first: capf.RSA2048, second: capf.P256}[name])
		s.checkAccepted(t, s.installing(name, key))
	}
	capfs := s.server.Certificate.PrivateKey.(crypto.Signer)
	for name, test := range map[string]struct {
		key  crypto.Signer
		size capf.KeySize
		text string
	}{
		"CAPF's own":                                     {capfs, capf.RSA2048, "CAPF's own public key"},
		"CAPF's own with another exponent":               {withExponent(capfs, 3), capf.RSA2048, "CAPF's own public key"},
		"another device's":                               {modulus, capf.RSA2048, "the public key of " + first},
		"another device's with another exponent":         {withExponent(modulus, 5), capf.RSA2048, "the public key of " + first},
		"another device's on a curve":                    {point, capf.P256, "the public key of " + second},
		"another device's on a curve, its point negated": {opposite(t, point), capf.P256, "the public key of " + second},
	} {
		t.Run(name, func(t *testing.T) { s.checkKeyRefused(t, test.key, test.size, test.text) })
	}
}

// A device's own key in another writing is no theft. The certificate that left for the first writing is not for this one.
func TestOwnKeyInAnotherWriting(t *testing.T) {
	s := newService(t, usual())
	key := newKey(t, capf.P256)
	s.pending(device, capf.OperationInstall, capf.P256)
	for _, one := range []crypto.Signer{key, opposite(t, key)} {
		config := s.installing(device, one)
		config.OnMessage = phone.StopAt(7, false, phone.DropRST)
		s.call(config)
		eventually(t, "the operation is released", func() bool { return s.status(device) == capf.StatusPending })
	}
	if states := s.states(device); states[capf.CertificateIssued] != 2 {
		t.Errorf("certificates %v", states)
	}
}

// infineon is a key of the first kind that ROCA (CVE-2017-15361) factors: from the tests of github.com/titanous/rocacheck.
const infineon = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlze9c7qGdjDLVR/ntk+4
ZkfMcYsAnmfTFHfe3Xv7jRQqPCXCULtr0y0jG3aRJmEenoXO9uDveqr43gFB9yvA
dLEhu0aJqpB7lNZ+yXsvfVp/96dkSN8oWYL/dd9Z7GQOvVniHUY3Xsd7zdw2eYOy
HSXhhA2Ttwnj3c1jEYfC0y9q1cU99aL0ogGDqolcOvlkJu+mGb+6+WyboFa1gwRu
kYxBHZWKiHCt/eihvXsPTzTlXmTXWdGJtA1xZDnCBWuZ90b5R0agXVIESTl0cCyH
aQM/tLZmktJIU+Eu7ALBXemPg9kh3SCnYd3/YvDGCtYSXOWthHwlP5CImRBcQaNn
cQIDAQAB
-----END PUBLIC KEY-----`

// times gives a modulus of as many bits with that factor.
func times(t *testing.T, key crypto.Signer, factor int64) crypto.Signer {
	t.Helper()
	modulus := key.Public().(*rsa.PublicKey).N
	made := new(big.Int).Div(modulus, big.NewInt(factor))
	made.SetBit(made, 0, 1)
	made.Mul(made, big.NewInt(factor))
	for made.BitLen() < modulus.BitLen() {
		made.Add(made, big.NewInt(2*factor))
	}
	if made.BitLen() != modulus.BitLen() || made.Bit(0) == 0 {
		t.Fatalf("made a modulus of %d bits", made.BitLen())
	}
	return claimed{&rsa.PublicKey{N: made, E: 65537}}
}

// A key that anybody can break, or that cannot be one, is refused with the reason.
func TestUnsoundKeysAreRefused(t *testing.T) {
	s := newService(t, usual())
	block, _ := pem.Decode([]byte(infineon))
	weak, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	good := newKey(t, capf.RSA2048)
	for name, test := range map[string]struct {
		key  crypto.Signer
		text string
	}{
		"ROCA":                {claimed{weak}, "ROCA"},
		"a factor of 3":       {times(t, good, 3), "small factor"},
		"a factor of 1021":    {times(t, good, 1021), "small factor"},
		"an even modulus":     {claimed{&rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int), 2047, 1), E: 65537}}, "cannot be"},
		"an exponent of 1":    {withExponent(good, 1), "cannot be"},
		"an exponent of 2":    {withExponent(good, 2), "cannot be"},
		"an exponent of 2^16": {withExponent(good, 65536), "cannot be"},
	} {
		t.Run(name, func(t *testing.T) { s.checkKeyRefused(t, test.key, capf.RSA2048, test.text) })
	}
	s.pending(device, capf.OperationInstall, capf.RSA2048)
	s.checkAccepted(t, s.installing(device, good))
}
