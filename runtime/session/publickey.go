package session

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

var curves = map[capf.KeySize]wire.Curve{capf.P256: wire.CurveP256, capf.P384: wire.CurveP384, capf.P521: wire.CurveP521}

// checkPublicKey reads what a phone sent as its public key and holds it against what was asked: the rule
// "public keys must be of the type and size asked for".
func checkPublicKey(encoded []byte, size capf.KeySize) (crypto.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(encoded)
	if err != nil {
		return nil, fmt.Errorf("the phone sent no public key that can be read: %w", err)
	}
	// The bytes are the key's identity in the store, so there must be one way to write it.
	if again, err := x509.MarshalPKIXPublicKey(parsed); err != nil || !bytes.Equal(again, encoded) {
		return nil, fmt.Errorf("the phone sent a public key that is not in DER")
	}
	switch key := parsed.(type) {
	case *rsa.PublicKey:
		if size.IsEC() || key.N.BitLen() != size.Bits() {
			return nil, fmt.Errorf("the phone sent an RSA key of %d bits where %s was asked", key.N.BitLen(), size)
		}
		if key.N.Bit(0) == 0 || key.E < 3 || key.E&1 == 0 {
			return nil, fmt.Errorf("the phone sent an RSA key with a modulus or exponent that cannot be")
		}
	case *ecdsa.PublicKey:
		if name := curveName(key); name != size {
			return nil, fmt.Errorf("the phone sent an EC key on %s where %s was asked", key.Curve.Params().Name, size)
		}
	default:
		return nil, fmt.Errorf("the phone sent a public key that is neither RSA nor EC")
	}
	return parsed, nil
}

func curveName(key *ecdsa.PublicKey) capf.KeySize {
	return map[string]capf.KeySize{"P-256": capf.P256, "P-384": capf.P384, "P-521": capf.P521}[key.Curve.Params().Name]
}
