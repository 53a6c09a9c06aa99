package session

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"capf/runtime/capf"
)

func encode(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCheckPublicKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	even := &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int), 1023, 1), E: 65537}
	good := encode(t, &rsaKey.PublicKey)
	for name, test := range map[string]struct {
		encoded []byte
		size    capf.KeySize
		ok      bool
	}{
		"RSA as asked":         {good, capf.RSA1024, true},
		"EC as asked":          {encode(t, &ecKey.PublicKey), capf.P256, true},
		"RSA of another size":  {good, capf.RSA2048, false},
		"RSA for EC":           {good, capf.P256, false},
		"EC for RSA":           {encode(t, &ecKey.PublicKey), capf.RSA1024, false},
		"EC on another curve":  {encode(t, &ecKey.PublicKey), capf.P384, false},
		"Ed25519":              {encode(t, edKey), capf.P256, false},
		"even modulus":         {encode(t, even), capf.RSA1024, false},
		"bytes behind the key": {append(append([]byte{}, good...), 0), capf.RSA1024, false},
		"torn":                 {good[:len(good)-1], capf.RSA1024, false},
		"nothing":              {nil, capf.RSA1024, false},
	} {
		key, err := checkPublicKey(test.encoded, test.size)
		if (err == nil) != test.ok || (key != nil) != test.ok {
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
}

func FuzzCheckPublicKey(f *testing.F) {
	f.Add([]byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		if key, err := checkPublicKey(encoded, capf.RSA1024); err == nil {
			if again, err := x509.MarshalPKIXPublicKey(key); err != nil || string(again) != string(encoded) {
				t.Error("one key in two writings")
			}
		}
	})
}
