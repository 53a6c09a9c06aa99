package pkcs11

import "github.com/ThalesGroup/crypto11"

// TryAgainAtOnce leaves out the pause after a token could not be opened.
func (t *Tokens) TryAgainAtOnce() { t.wait = -1 }

// GenerateFor makes a key that may decrypt or not, which the programs of administrators leave to the module.
func (t *Tokens) GenerateFor(uri URI, decrypt bool, ask AskPIN) error {
	connection, err := t.connect(uri, ask)
	if err != nil {
		return err
	}
	public, err := crypto11.NewAttributeSetWithIDAndLabel([]byte{1}, []byte(uri.Object))
	if err != nil {
		return err
	}
	private := public.Copy()
	if err := private.Set(crypto11.CkaDecrypt, decrypt); err != nil {
		return err
	}
	_, err = connection.context.GenerateRSAKeyPairWithAttributes(public, private, 2048)
	return err
}

// DecryptsUnpadded reports whether the padding is looked at here.
func (k *Key) DecryptsUnpadded() bool { return k.opened.decrypts == unpadded }
