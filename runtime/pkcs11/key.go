package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"
	p11 "github.com/miekg/pkcs11"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// Keys in tokens: how they are found, made and used, and the certificates beside them.

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

// maxObjects is how many keys or certificates of a token are looked at.
const maxObjects = 200

// openKey is a key in an open token.
type openKey struct {
	connection *connection
	public     *rsa.PublicKey
	id, label  []byte
	signer     crypto11.RSAPrivateKey
	handle     p11.ObjectHandle // for our own sessions
	decrypts   decryption
	pss        bool
}

// findKey finds the one private RSA key that a URI names, and, where public is not nil, that is its.
func (c *connection) findKey(uri URI, public *rsa.PublicKey) (*openKey, error) {
	keys, err := c.privateKeys(uri)
	if err != nil {
		return nil, err
	}
	var found []*openKey
	for _, key := range keys {
		if public == nil || key.public.N.Cmp(public.N) == 0 {
			found = append(found, key)
		}
	}
	switch {
	case len(found) == 1:
		if public != nil {
			found[0].public = public // a token may not say its exponent
		}
		return found[0], c.complete(found[0])
	case len(found) > 1:
		return nil, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%s: %d private keys match: %s", c.slot, len(found), names(found)),
			Hint: "tell them apart by object=LABEL or id=%.. in the URI"}
	case len(keys) > 0:
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("%s: holds no private key of the certificate; those that match the URI are %s", c.slot, names(keys)),
			Hint: "see that it is the right token, and name the key of the certificate"}
	}
	return nil, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("%s: no private RSA key matches the URI", c.slot),
		Hint: "see what is in the token, with `pkcs11-tool --login --list-objects`"}
}

func names(keys []*openKey) string {
	var all []string
	for _, key := range keys {
		all = append(all, fmt.Sprintf("object=%s;id=%s (%d bits)", plain.ClipTo(plain.Line(string(key.label)), 64), escapeAll(key.id[:min(len(key.id), 32)]), key.public.N.BitLen()))
	}
	return strings.Join(all, ", ")
}

// privateKeys gives the private RSA keys that a URI names, not completed yet.
func (c *connection) privateKeys(uri URI) ([]*openKey, error) {
	wanted := crypto11.NewAttributeSet()
	for attribute, value := range map[crypto11.AttributeType]any{crypto11.CkaKeyType: uint(p11.CKK_RSA), crypto11.CkaLabel: uri.Object, crypto11.CkaId: uri.ID} {
		if value == "" || attribute == crypto11.CkaId && len(uri.ID) == 0 {
			continue
		}
		if err := wanted.Set(attribute, value); err != nil {
			return nil, err
		}
	}
	signers, err := c.context.FindRSAPrivateKeysWithAttributes(wanted)
	if err != nil {
		return nil, err
	}
	if len(signers) > maxObjects {
		return nil, fmt.Errorf("more than %d private keys match the URI", maxObjects)
	}
	var keys []*openKey
	for _, signer := range signers {
		key, err := c.read(signer)
		if isLost(err) {
			return nil, err
		}
		if err == nil { // one that cannot be read cannot be compared with a certificate either
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// read gives what a token tells about a key.
func (c *connection) read(signer crypto11.RSAPrivateKey) (*openKey, error) {
	read, err := c.context.GetAttributes(signer, []crypto11.AttributeType{crypto11.CkaId, crypto11.CkaLabel, crypto11.CkaModulus})
	if err != nil {
		return nil, err
	}
	// Not every token keeps it with the private key.
	var exponent []byte
	if one, err := c.context.GetAttribute(signer, crypto11.CkaPublicExponent); err == nil && one != nil {
		exponent = one.Value
	}
	public, err := publicKey(read[crypto11.CkaModulus].Value, exponent)
	if err != nil {
		return nil, err
	}
	return &openKey{connection: c, public: public, id: read[crypto11.CkaId].Value, label: read[crypto11.CkaLabel].Value, signer: signer}, nil
}

// complete finds the key again for our own sessions, and out what it can do.
func (c *connection) complete(key *openKey) error {
	if !c.can(p11.CKM_RSA_PKCS, p11.CKF_SIGN) {
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%s: makes no RSA signatures (CKM_RSA_PKCS)", c.slot), Hint: "use another token"}
	}
	key.pss = c.can(p11.CKM_RSA_PKCS_PSS, p11.CKF_SIGN)
	return c.ours.with(func(session p11.SessionHandle) error {
		handles, err := c.objects(session, p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_RSA))
		if err != nil {
			return err
		}
		for _, handle := range handles {
			read, err := c.module.GetAttributeValue(session, handle, []*p11.Attribute{p11.NewAttribute(p11.CKA_MODULUS, nil), p11.NewAttribute(p11.CKA_ID, nil)})
			if err == nil && bytes.Equal(bytes.TrimLeft(read[0].Value, "\x00"), key.public.N.Bytes()) && bytes.Equal(read[1].Value, key.id) {
				key.handle = handle
				key.decrypts = c.decryption(session, handle)
				return nil
			}
		}
		return errors.New("a key that was found is not there any more")
	})
}

// objects finds objects by their attributes.
func (c *connection) objects(session p11.SessionHandle, wanted ...*p11.Attribute) (handles []p11.ObjectHandle, err error) {
	if err := c.module.FindObjectsInit(session, wanted); err != nil {
		return nil, err
	}
	defer func() {
		if problem := c.module.FindObjectsFinal(session); err == nil {
			err = problem
		}
	}()
	for len(handles) <= maxObjects {
		some, _, err := c.module.FindObjects(session, maxObjects)
		if err != nil || len(some) == 0 {
			return handles, err
		}
		handles = append(handles, some...)
	}
	return nil, fmt.Errorf("the token holds more than %d such objects", maxObjects)
}

// idSize is that of the ids of keys that are made here, in bytes.
const idSize = 8

// LocateOrGenerate gives the RSA key that a URI names, and makes it in the token where there is none: of these many
// bits, never to leave the token, under the label and id of the URI, else label and a random id. Created tells which it
// was. A key that is there and has another size than one of sizes is refused.
func (t *Tokens) LocateOrGenerate(uri URI, bits int, sizes []int, label string, ask AskPIN) (key *Key, created bool, err error) {
	key, err = t.Locate(uri, ask)
	switch {
	case err == nil && !slices.Contains(sizes, key.public.N.BitLen()):
		return nil, false, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%s is an RSA key of %d bits, not of %v", key, key.public.N.BitLen(), sizes),
			Hint: "name another key, or one that is to be made"}
	case err == nil:
		return key, false, nil
	case !capf.HasCode(err, capf.CodeNotFound):
		return nil, false, err
	}
	if uri.Object == "" {
		uri.Object = label
	}
	if len(uri.ID) == 0 {
		uri.ID = make([]byte, idSize)
		if _, err := rand.Read(uri.ID); err != nil {
			return nil, false, fmt.Errorf("make an id for the key: %w", err)
		}
	}
	if err := t.generate(uri, bits, ask); err != nil {
		return nil, false, err
	}
	key, err = t.Locate(uri, ask)
	return key, true, err
}

func (t *Tokens) generate(uri URI, bits int, ask AskPIN) error {
	connection, err := t.connect(uri, ask)
	if err != nil {
		return err
	}
	public, err := crypto11.NewAttributeSetWithIDAndLabel(uri.ID, []byte(uri.Object))
	if err != nil {
		return failed("name the key", connection.slot, err)
	}
	private := public.Copy()
	if err := private.Set(crypto11.CkaPrivate, true); err != nil {
		return failed("make the key", connection.slot, err)
	}
	err = connection.use(func() error {
		_, err := connection.context.GenerateRSAKeyPairWithAttributes(public, private, bits)
		return err
	})
	if err != nil {
		return failed(fmt.Sprintf("make an RSA key of %d bits", bits), connection.slot, err)
	}
	return nil
}

// maxCertificate is how long a certificate may be, in bytes.
const maxCertificate = 1 << 16

// Certificate gives the certificate of the key that lies in the token with it, whatever it is called there: the public
// key decides. CodeNotFound where there is none, CodeRefused where there are several.
func (k *Key) Certificate() (*x509.Certificate, error) {
	var slot Slot
	var found []*x509.Certificate
	err := k.do(func(opened *openKey) (err error) {
		slot = opened.connection.slot
		found, err = opened.connection.certificates(k)
		return err
	}, true)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("%s: holds no certificate of its key", slot), Hint: "give it with --certificate FILE"}
	}
	var serials []string
	for _, one := range found {
		serials = append(serials, hex.EncodeToString(one.SerialNumber.Bytes()))
	}
	return nil, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%s: holds %d certificates of the key, with serial numbers %s", slot, len(found), strings.Join(serials, ", ")),
		Hint: "say which one is meant with --certificate FILE"}
}

// certificates gives those of a key, each once.
func (c *connection) certificates(key *Key) (found []*x509.Certificate, err error) {
	err = c.ours.with(func(session p11.SessionHandle) error {
		handles, err := c.objects(session, p11.NewAttribute(p11.CKA_CLASS, p11.CKO_CERTIFICATE))
		if err != nil {
			return err
		}
		for _, handle := range handles {
			read, err := c.module.GetAttributeValue(session, handle, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)})
			if err != nil || len(read[0].Value) > maxCertificate {
				continue // not a certificate that is in the token as a whole
			}
			certificate, err := x509.ParseCertificate(read[0].Value)
			if err == nil && key.public.Equal(certificate.PublicKey) && !slices.ContainsFunc(found, certificate.Equal) {
				found = append(found, certificate)
			}
		}
		return nil
	})
	return found, err
}
