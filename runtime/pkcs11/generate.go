package pkcs11

import (
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/ThalesGroup/crypto11"

	"capf/runtime/capf"
)

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
