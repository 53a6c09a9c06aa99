package pkcs11

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/ThalesGroup/crypto11"
	p11 "github.com/miekg/pkcs11"

	"capf/internal/plain"
	"capf/runtime/capf"
)

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
