package session

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/titanous/rocacheck"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

var curves = map[capf.KeySize]wire.Curve{capf.P256: wire.CurveP256, capf.P384: wire.CurveP384, capf.P521: wire.CurveP521}

// checkPublicKey reads what a phone sent as its public key and holds it against what was asked: the rule
// "public keys must be of the type and size asked for, sound". A point that is not on its curve crypto/x509 refuses.
func checkPublicKey(encoded []byte, size capf.KeySize) (crypto.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(encoded)
	if err != nil {
		return nil, fmt.Errorf("the phone sent no public key that can be read: %w", err)
	}
	// A phone that comes again with the same key is known by its bytes, so there must be one way to write it.
	if again, err := x509.MarshalPKIXPublicKey(parsed); err != nil || !bytes.Equal(again, encoded) {
		return nil, fmt.Errorf("the phone sent a public key that is not in DER")
	}
	switch key := parsed.(type) {
	case *rsa.PublicKey:
		if size.IsEC() || key.N.BitLen() != size.Bits() {
			return nil, fmt.Errorf("the phone sent an RSA key of %d bits where %s was asked", key.N.BitLen(), size)
		}
		if err := checkSound(key); err != nil {
			return nil, err
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

// checkSound refuses RSA keys that cannot be one, and those that anybody can break. It does not ask whether the
// modulus is of two primes: nobody could tell, and to try would take longer than all the rest of a session.
func checkSound(key *rsa.PublicKey) error {
	switch {
	case key.N.Bit(0) == 0 || key.E < 3 || key.E&1 == 0:
		return errors.New("the phone sent an RSA key with a modulus or exponent that cannot be")
	case new(big.Int).GCD(nil, nil, key.N, smallPrimes()).BitLen() > 1:
		return errors.New("the phone sent an RSA key whose modulus has a small factor")
	case rocacheck.IsWeak(key):
		return errors.New("the phone sent an RSA key that can be broken: its modulus has the fingerprint of ROCA (CVE-2017-15361)")
	}
	return nil
}

// smallPrimes is the product of all odd primes below 2^10. It is about as long as a modulus, so that one greatest
// common divisor tells as much as some 170 divisions. A modulus of two primes has no such factor, and of those that
// come out of a fault by chance five in six have one.
var smallPrimes = sync.OnceValue(func() *big.Int {
	product := big.NewInt(1)
	for n := int64(3); n < 1<<10; n += 2 {
		if prime := big.NewInt(n); prime.ProbablyPrime(0) { // certain for numbers of that size
			product.Mul(product, prime)
		}
	}
	return product
})

func curveName(key *ecdsa.PublicKey) capf.KeySize {
	return map[string]capf.KeySize{"P-256": capf.P256, "P-384": capf.P384, "P-521": capf.P521}[key.Curve.Params().Name]
}
