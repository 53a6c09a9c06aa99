package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"sync"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
)

const publicExponent = 65537

// keyring is RSA key pairs of one size, made beforehand and quickly: every pair of its primes gives another
// modulus. The keys are real ones, and all different, as the service demands; that they share primes would
// be fatal anywhere but in a test.
type keyring struct {
	size int // bits

	guard sync.Mutex
	keys  []*rsa.PrivateKey // that nobody has yet
}

func newKeyring(t testing.TB, size, count int) *keyring {
	t.Helper()
	k := &keyring{size: size}
	for primes := []*big.Int(nil); len(k.keys) < count; {
		prime, err := usablePrime(size / 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range primes {
			k.keys = append(k.keys, keyOf(prime, other))
		}
		primes = append(primes, prime)
	}
	return k
}

// usablePrime gives a prime p with p-1 prime to the exponent. rand.Prime sets its two highest bits, so
// that the product of two has the full size.
func usablePrime(bits int) (*big.Int, error) {
	for {
		prime, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			return nil, err
		}
		if remainder := new(big.Int).Mod(prime, big.NewInt(publicExponent)); remainder.Cmp(big.NewInt(1)) != 0 {
			return prime, nil
		}
	}
}

func keyOf(p, q *big.Int) *rsa.PrivateKey {
	one := big.NewInt(1)
	order := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	return &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: publicExponent},
		D:         new(big.Int).ModInverse(big.NewInt(publicExponent), order),
		Primes:    []*big.Int{p, q},
	}
}

// key gives a key that nobody else gets.
func (k *keyring) key() (*rsa.PrivateKey, error) {
	k.guard.Lock()
	defer k.guard.Unlock()
	if len(k.keys) == 0 {
		return nil, errors.New("the keyring has no more keys")
	}
	key := k.keys[len(k.keys)-1]
	k.keys = k.keys[:len(k.keys)-1]
	return key, nil
}

// source is the keyring as phones take their keys from it.
func (k *keyring) source() phone.KeySource {
	return func(_ context.Context, _ string, size capf.KeySize) (crypto.Signer, error) {
		if size.Bits() != k.size {
			return nil, errors.New("the service asks for a key of size " + string(size))
		}
		return k.key()
	}
}

// TestKeyring holds its keys against what crypto/rsa demands of one.
func TestKeyring(t *testing.T) {
	const keys = 10
	ring := newKeyring(t, 1024, keys)
	seen := make(map[string]bool)
	for range keys {
		key, err := ring.key()
		if err != nil {
			t.Fatal(err)
		}
		if err := key.Validate(); err != nil {
			t.Error(err)
		}
		if bits := key.N.BitLen(); bits != ring.size {
			t.Errorf("a key of %d bits", bits)
		}
		seen[key.N.String()] = true
	}
	if len(seen) != keys {
		t.Errorf("%d keys, %d of them different", keys, len(seen))
	}
}
