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
	"time"

	"github.com/titanous/rocacheck"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// The key that a phone makes, and whether it is one that CAPF signs.

// generateKey asks for a key pair, again where the phone reports that it failed or takes longer than it may
// (C4), as often as parameter C5 says. A phone that cannot make an EC key is asked for an RSA key where the
// parameters name a size for that. It gives the public key with its size, or the outcome where there will be
// none.
func (s *session) generateKey() (encoded []byte, size capf.KeySize, problem *capf.Outcome, err error) {
	size = s.phone.Last.KeySize
	encoded, problem, err = s.askForKey(size)
	backup := s.params.BackupKeySize()
	if problem == nil || err != nil || !size.IsEC() || backup == "" {
		return encoded, size, problem, err
	}
	s.log.Info("the phone makes no EC key: asking for the backup", "key-size", backup)
	encoded, problem, err = s.askForKey(backup)
	if _, late := checkPublicKey(encoded, size); late == nil {
		return encoded, size, problem, err // the EC key came after all
	}
	return encoded, backup, problem, err
}

func (s *session) askForKey(size capf.KeySize) ([]byte, *capf.Outcome, error) {
	request, err := keyRequest(s.version, size)
	if err != nil {
		outcome := failed(capf.ResultFailed, err.Error())
		return nil, &outcome, nil
	}
	attempts := s.params.KeyGenerationAttempts()
	for attempt := 1; ; attempt++ {
		if err := s.send(request.Message(s.id)); err != nil {
			return nil, nil, err
		}
		s.unanswered++
		response, err := s.awaitKey()
		result := capf.ResultFailed
		switch {
		case isTimeout(err):
			result = capf.ResultTimedOut
		case err != nil:
			return nil, nil, err
		case response.PublicKey != nil && response.Reason.Or(wire.ReasonSuccess) == wire.ReasonSuccess:
			return response.PublicKey, nil, nil
		}
		s.log.Info("the phone has made no key", "result", result.String(), "reason", response.Reason.Value, "attempt", attempt)
		if attempt >= attempts {
			outcome := failed(result, fmt.Sprintf("the phone made no key in %d attempts (%s)", attempts, result))
			return nil, &outcome, nil
		}
	}
}

// awaitKey waits for the phone's answer for all the time that key generation may take (C4).
func (s *session) awaitKey() (wire.KeyGenerationResponse, error) {
	message, err := s.receivePastProgress(time.Now().Add(s.keyGenerationTime()))
	if err != nil {
		return wire.KeyGenerationResponse{}, err
	}
	response, unknown, err := wire.Read[wire.KeyGenerationResponse](message)
	s.skipped(unknown)
	s.unanswered--
	return response, err
}

func (s *session) keyGenerationTime() time.Duration {
	if s.server.KeyGenerationTime > 0 {
		return s.server.KeyGenerationTime
	}
	return s.params.KeyGenerationTime()
}

// receivePastKeys is receive, but passes over what a slow phone still answers to requests that it was sent
// because it took too long: it has made its keys one after the other. While it owes such an answer it may be making
// a key, so that it has the time for that (C4) where this is longer. In either case the time is for all of the wait.
func (s *session) receivePastKeys(within time.Duration) (wire.Message, error) {
	if s.unanswered > 0 {
		within = max(within, s.keyGenerationTime())
	}
	deadline := time.Now().Add(within)
	for s.unanswered > 0 {
		message, err := s.receivePastProgress(deadline)
		if err != nil || message.Command != wire.CommandKeyGenerationResponse {
			return message, err
		}
		s.unanswered--
	}
	return s.receive(time.Until(deadline))
}

// receivePastProgress is receive, but passes over messages that say that the phone is still making keys.
func (s *session) receivePastProgress(deadline time.Time) (wire.Message, error) {
	for {
		message, err := s.receive(time.Until(deadline))
		if err != nil || message.Command != wire.CommandRequestInProgress {
			return message, err
		}
		if !s.progress.takes(time.Now()) {
			return wire.Message{}, &capf.Error{Code: capf.CodePeer,
				Message: fmt.Sprintf("the phone says too often that it is making keys: more than %d times at once and once a second", progressAtOnce)}
		}
	}
}

// progress counts the messages of a session that say that the phone is still making keys. A phone says so every now
// and then, for half an hour and more (a recorded one once, 50 ms after it was asked), so that a bound on their number
// alone would meet an honest phone. Whoever sends them as fast as the line carries them takes the time of others.
type progress struct {
	since time.Time // of the first
	count int
}

// progressAtOnce is how many may come at any time; one more may come with each second since the first.
const progressAtOnce = 100

func (p *progress) takes(now time.Time) bool {
	if p.count == 0 {
		p.since = now
	}
	p.count++
	return p.count <= progressAtOnce+int(now.Sub(p.since)/time.Second)
}

func keyRequest(version uint8, size capf.KeySize) (wire.KeyGenerationRequest, error) {
	if size.IsEC() {
		return wire.ECKeyRequest(version, curves[size])
	}
	return wire.RSAKeyRequest(version, uint16(size.Bits())), nil
}

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
