package pkcs11

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"time"

	"capf/runtime/capf"
)

// Key is an RSA key that lies in a token. It is a crypto.Signer, and a crypto.Decrypter for the RSA key exchange of
// TLS up to 1.2. The token is opened at the first use, and again after it was pulled and plugged in. Several
// goroutines may use it at a time.
type Key struct {
	tokens *Tokens
	uri    URI
	public *rsa.PublicKey
	ask    AskPIN

	mu      sync.Mutex
	opened  *openKey
	failure error     // why it could not be opened
	tried   time.Time // when that was
}

// Key gives the key of this public key in the token that a URI names. Nothing is opened yet.
func (t *Tokens) Key(uri URI, public *rsa.PublicKey, ask AskPIN) *Key {
	return &Key{tokens: t, uri: uri, public: public, ask: ask}
}

// Locate opens the token that a URI names and gives the RSA key there that it names, after a signature was seen to be
// good. CodeNotFound where there is none, CodeRefused where several match.
func (t *Tokens) Locate(uri URI, ask AskPIN) (*Key, error) {
	key := t.Key(uri, nil, ask)
	found, err := key.open()
	if err != nil {
		return nil, err
	}
	key.public = found.public
	if len(key.uri.ID) == 0 {
		key.uri.ID = found.id
	}
	return key, key.Prove()
}

// Public gives the *rsa.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.public }

// URI names the key in its token.
func (k *Key) URI() URI { return k.uri }

// String names the key; there is nothing secret in it.
func (k *Key) String() string { return "key " + k.uri.String() }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// Uses opens the token if it is not open, and tells what the key can be used for beside signatures of PKCS #1 v1.5:
// decryption, for the RSA key exchange of old phones, and PSS, for TLS 1.3.
func (k *Key) Uses() (decrypt, pss bool, err error) {
	opened, err := k.open()
	if err != nil {
		return false, false, err
	}
	return opened.decrypts != cannot, opened.pss, nil
}

// Prove signs something and sees that the signature is good: that the key in the token is that of the public key.
func (k *Key) Prove() error {
	digest := crypto.SHA256.New()
	digest.Write([]byte("CAPF tries its key"))
	_, err := k.Sign(nil, digest.Sum(nil), crypto.SHA256)
	return err
}

// Sign signs a digest, PKCS #1 v1.5 or (with *rsa.PSSOptions) PSS. A signature that does not verify is never given.
func (k *Key) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) (signature []byte, err error) {
	if err := checkDigest(digest, options); err != nil {
		return nil, err
	}
	var slot Slot
	err = k.do(func(opened *openKey) error {
		slot = opened.connection.slot
		signature, err = opened.signer.Sign(nil, digest, options)
		return err
	}, true)
	if err != nil {
		return nil, err
	}
	if pss, ok := options.(*rsa.PSSOptions); ok {
		err = rsa.VerifyPSS(k.public, pss.Hash, digest, signature, pss)
	} else {
		err = rsa.VerifyPKCS1v15(k.public, options.HashFunc(), digest, signature)
	}
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: slot.String() + ": gave a signature that is not good", Err: err,
			Hint: "the token is defective, or its key is not that of the certificate"}
	}
	return signature, nil
}

// checkDigest refuses what would be signed without saying which hash it is. TLS 1.0 and 1.1 sign MD5 and SHA-1
// together, and nothing else may be without a name.
func checkDigest(digest []byte, options crypto.SignerOpts) error {
	switch hash := options.HashFunc(); hash {
	case crypto.MD5SHA1, crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512:
		if len(digest) == hash.Size() {
			return nil
		}
	}
	return fmt.Errorf("a digest of %d bytes of %s cannot be signed by a token", len(digest), options.HashFunc())
}

// maxTries is how often an operation is begun: one that finds the token gone opens it again, and may find that another
// one, which found the same, has closed it once more.
const maxTries = 4

// do does something with the open key. Where that fails since the token is gone, it is opened again. Doubt tells
// whether errors that may have other reasons count for that too.
func (k *Key) do(operation func(*openKey) error, doubt bool) error {
	for try := 1; ; try++ {
		opened, err := k.open()
		if err != nil {
			return err
		}
		err = opened.connection.use(func() error { return operation(opened) })
		if err == nil {
			return nil
		}
		gone := isLost(err) || doubt && isOneOf(err, doubtful) && try == 1
		if gone {
			k.forget(opened)
		}
		if !gone || try == maxTries {
			return failed("private key operation", opened.connection.slot, err)
		}
	}
}

// forget closes the connection of a key that has failed.
func (k *Key) forget(gone *openKey) {
	k.mu.Lock()
	if k.opened == gone {
		k.opened = nil
	}
	k.mu.Unlock()
	k.tokens.drop(gone.connection)
}

// open gives the key in its open token. A failure is given again for a while instead of another try.
func (k *Key) open() (*openKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.opened != nil {
		return k.opened, nil
	}
	if k.failure != nil && k.tokens.now().Sub(k.tried) < k.tokens.wait {
		return nil, k.failure
	}
	before := k.failure
	k.opened, k.failure = k.find()
	k.tried = k.tokens.now()
	if k.tokens.Changed != nil && (before == nil) != (k.failure == nil) {
		k.tokens.Changed(k.uri, k.failure)
	}
	return k.opened, k.failure
}

// find opens the token and finds the key. A connection that others have left open may be dead.
func (k *Key) find() (found *openKey, err error) {
	for range 2 {
		var connection *connection
		connection, err = k.tokens.connect(k.uri, k.ask)
		if err != nil {
			return nil, err
		}
		err = connection.use(func() error {
			found, err = connection.findKey(k.uri, k.public)
			return err
		})
		if err == nil {
			return found, nil
		}
		if known := new(capf.Error); !errors.As(err, &known) {
			err = failed("look for the key", connection.slot, err)
		}
		if !isLost(err) && !isOneOf(err, doubtful) {
			break
		}
		k.tokens.drop(connection)
	}
	return nil, err
}

// publicKey makes a key of numbers as a token gives them.
func publicKey(modulus, exponent []byte) (*rsa.PublicKey, error) {
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	if len(exponent) > 0 {
		e := new(big.Int).SetBytes(exponent)
		if e.BitLen() > 31 {
			return nil, errors.New("its public exponent has more than 31 bits")
		}
		key.E = int(e.Int64())
	}
	const least, most = 512, 8192
	if bits := key.N.BitLen(); bits < least || bits > most || key.E < 3 || key.E%2 == 0 {
		return nil, fmt.Errorf("an RSA key of %d bits with exponent %d cannot be used", key.N.BitLen(), key.E)
	}
	return key, nil
}
