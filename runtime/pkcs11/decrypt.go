package pkcs11

import (
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"math/big"

	p11 "github.com/miekg/pkcs11"
)

// decryption is how a key can decrypt.
type decryption int

const (
	cannot   decryption = iota
	unpadded            // CKM_RSA_X_509: what comes out is looked at here
	padded              // CKM_RSA_PKCS: the token takes the padding off
)

// decryption finds the better way in which a key can decrypt. Whoever sees how long a server takes with a wrong
// padding can decrypt with its key in the end (Bleichenbacher), so the padding is best looked at here, in constant
// time; modules log it, or take another path.
func (c *connection) decryption(session p11.SessionHandle, key p11.ObjectHandle) decryption {
	read, err := c.module.GetAttributeValue(session, key, []*p11.Attribute{p11.NewAttribute(p11.CKA_DECRYPT, nil)})
	allowed := err == nil && len(read[0].Value) > 0 && read[0].Value[0] != 0
	switch {
	case !allowed:
		return cannot
	case c.can(p11.CKM_RSA_X_509, p11.CKF_DECRYPT):
		return unpadded
	case c.can(p11.CKM_RSA_PKCS, p11.CKF_DECRYPT):
		return padded
	}
	return cannot
}

// minPadding is what stands before the message at least (RFC 8017, 7.2.1): 0, 2, eight bytes, 0.
const minPadding = 11

// Decrypt decrypts a session key of known length (*rsa.PKCS1v15DecryptOptions), as the RSA key exchange of TLS wants
// it: where the padding is wrong it gives random bytes instead, and nothing tells the difference (RFC 5246, 7.4.7.1).
func (k *Key) Decrypt(random io.Reader, message []byte, options crypto.DecrypterOpts) ([]byte, error) {
	//lint:ignore SA1019 the RSA key exchange of old phones is this padding
	wanted, ok := options.(*rsa.PKCS1v15DecryptOptions)
	size := k.public.Size()
	if !ok || wanted.SessionKeyLen <= 0 || wanted.SessionKeyLen > size-minPadding {
		return nil, errors.New("a key in a token decrypts session keys of TLS only")
	}
	if len(message) != size || new(big.Int).SetBytes(message).Cmp(k.public.N) >= 0 {
		return nil, rsa.ErrDecryption // whoever sent it knows that
	}
	key := make([]byte, wanted.SessionKeyLen)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("decrypt a session key: %w", err)
	}
	err := k.do(func(opened *openKey) error { return opened.decryptInto(key, message) }, false)
	if err != nil {
		return nil, err
	}
	return key, nil
}

// decryptInto replaces the random key by the one in the message, if its padding is right.
func (o *openKey) decryptInto(key, message []byte) error {
	switch o.decrypts {
	case unpadded:
		plain, err := o.decryptWith(p11.CKM_RSA_X_509, message)
		if err != nil {
			return err
		}
		block := make([]byte, o.public.Size())
		if len(plain) > len(block) {
			return errors.New("decrypted more bytes than the key has")
		}
		copy(block[len(block)-len(plain):], plain)
		takeSessionKey(key, block)
		clear(plain)
		clear(block)
		return nil
	case padded:
		plain, err := o.decryptWith(p11.CKM_RSA_PKCS, message)
		if isLost(err) {
			return err
		}
		fits := subtle.ConstantTimeEq(int32(len(plain)), int32(len(key)))
		candidate := make([]byte, len(key))
		copy(candidate, plain)
		subtle.ConstantTimeCopy(fits, key, candidate)
		clear(plain)
		clear(candidate)
		return nil
	}
	return errors.New("the key cannot decrypt")
}

// decryptWith decrypts; the padded way gives nothing where the padding is wrong.
func (o *openKey) decryptWith(mechanism uint, message []byte) (plain []byte, err error) {
	c := o.connection
	err = c.ours.with(func(session p11.SessionHandle) error {
		if err := c.module.DecryptInit(session, []*p11.Mechanism{p11.NewMechanism(mechanism, nil)}, o.handle); err != nil {
			return err
		}
		plain, err = c.module.Decrypt(session, message)
		return err
	})
	return plain, err
}

// takeSessionKey takes the padding of PKCS #1 v1.5 off a block as long as the modulus, in constant time: where a
// message of the key's length stands in it, it replaces what is in key (RFC 8017, 7.2.2).
func takeSessionKey(key, block []byte) {
	end := len(block) - len(key) - 1
	valid := subtle.ConstantTimeByteEq(block[0], 0) & subtle.ConstantTimeByteEq(block[1], 2) & subtle.ConstantTimeByteEq(block[end], 0)
	for _, padding := range block[2:end] {
		valid &= 1 ^ subtle.ConstantTimeByteEq(padding, 0)
	}
	subtle.ConstantTimeCopy(valid, key, block[end+1:])
}
