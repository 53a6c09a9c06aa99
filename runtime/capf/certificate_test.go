package capf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"
)

// TestKeyIdentity: one for all keys that are as good as one, another for every other key.
func TestKeyIdentity(t *testing.T) {
	identity := func(key crypto.PublicKey) string {
		encoded, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return KeyIdentity(key, encoded)
	}
	modulus := new(big.Int).SetBit(big.NewInt(12345), 1023, 1)
	rsaKey, other := &rsa.PublicKey{N: modulus, E: 65537}, &rsa.PublicKey{N: new(big.Int).Add(modulus, big.NewInt(2)), E: 65537}
	if identity(rsaKey) != identity(&rsa.PublicKey{N: modulus, E: 3}) {
		t.Error("another exponent makes another key")
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{identity(rsaKey): "RSA", identity(other): "RSA with another modulus", identity(edKey): "Ed25519"}
	for _, curve := range []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		for range 2 {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			point, err := key.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			half := (len(point) - 1) / 2
			y := new(big.Int).SetBytes(point[1+half:])
			y.Sub(curve.Params().P, y).FillBytes(point[1+half:])
			negated, err := ecdsa.ParseUncompressedPublicKey(curve, point)
			if err != nil {
				t.Fatal(err)
			}
			if negated.Equal(&key.PublicKey) || identity(negated) != identity(&key.PublicKey) {
				t.Errorf("%s: the negated point makes another key", curve.Params().Name)
			}
			known[identity(negated)] += curve.Params().Name
		}
	}
	if len(known) != 3+8 {
		t.Errorf("the identities of %v", known)
	}
}
