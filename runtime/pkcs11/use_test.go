package pkcs11_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/pkcs11"
	"capf/runtime/pkcs11/softhsmtest"
)

func sessionKey(length int) crypto.DecrypterOpts {
	//lint:ignore SA1019 the RSA key exchange of old phones is this padding
	return &rsa.PKCS1v15DecryptOptions{SessionKeyLen: length}
}

func encrypted(t testing.TB, key *pkcs11.Key, message []byte) []byte {
	t.Helper()
	//lint:ignore SA1019 the RSA key exchange of old phones is this padding
	out, err := rsa.EncryptPKCS1v15(rand.Reader, key.Public().(*rsa.PublicKey), message)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDecrypt decrypts session keys in both ways that tokens have; a wrong padding gives random bytes and no error.
func TestDecrypt(t *testing.T) {
	for name, mechanisms := range map[string][]string{"unpadded": nil, "padded": {"CKM_RSA_X_509"}} {
		t.Run(name, func(t *testing.T) {
			hsm := softhsmtest.New(t, mechanisms...)
			hsm.AddToken("west")
			hsm.Generate("west", "capf", "01", 2048, "--usage-decrypt")
			key := locate(t, open(t), hsm.URI("west", "capf"))
			options := sessionKey(48)
			wanted := bytes.Repeat([]byte{5}, 48)
			if key.DecryptsUnpadded() != (mechanisms == nil) {
				t.Fatal("decrypts in another way")
			}
			got, err := key.Decrypt(rand.Reader, encrypted(t, key, wanted), options)
			if err != nil || !bytes.Equal(got, wanted) {
				t.Fatalf("%x, %v", got, err)
			}
			noise := make([]byte, 256)
			noise[255] = 9
			for what, message := range map[string][]byte{"shorter": encrypted(t, key, wanted[:47]), "longer": encrypted(t, key, make([]byte, 49)), "noise": noise} {
				fixed := bytes.NewReader(bytes.Repeat([]byte{0xAA}, 48))
				got, err := key.Decrypt(fixed, message, options)
				if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{0xAA}, 48)) {
					t.Errorf("%s: %x, %v", what, got, err)
				}
			}
			for _, message := range [][]byte{nil, make([]byte, 255), bytes.Repeat([]byte{0xFF}, 256)} {
				if _, err := key.Decrypt(rand.Reader, message, options); !errors.Is(err, rsa.ErrDecryption) {
					t.Errorf("%d bytes: %v", len(message), err)
				}
			}
			for _, options := range []crypto.DecrypterOpts{nil, &rsa.OAEPOptions{}, sessionKey(0), sessionKey(246)} {
				if _, err := key.Decrypt(rand.Reader, encrypted(t, key, wanted), options); err == nil {
					t.Errorf("%v: decrypts", options)
				}
			}
		})
	}
}

// TestUses has keys and tokens that cannot do all.
func TestUses(t *testing.T) {
	for name, test := range map[string]struct {
		mechanisms   []string
		decrypt, pss bool
	}{
		"all":                   {nil, true, true},
		"no PSS":                {[]string{"CKM_RSA_PKCS_PSS"}, true, false},
		"a key that only signs": {nil, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			hsm := softhsmtest.New(t, test.mechanisms...)
			hsm.AddToken("west")
			tokens := open(t)
			if err := tokens.GenerateFor(parse(t, hsm.URI("west", "capf")), test.decrypt, rightPIN); err != nil {
				t.Fatal(err)
			}
			key := locate(t, tokens, hsm.URI("west", "capf"))
			decrypt, pss, err := key.Uses()
			if decrypt != test.decrypt || pss != test.pss || err != nil {
				t.Errorf("decrypt %t, PSS %t, %v", decrypt, pss, err)
			}
			if _, err := key.Decrypt(rand.Reader, encrypted(t, key, make([]byte, 48)), sessionKey(48)); (err == nil) != test.decrypt {
				t.Errorf("decrypts: %v", err)
			}
		})
	}
}

// TestPulled takes the token out under a key that is in use.
func TestPulled(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	hsm.Generate("west", "capf", "01", 2048, "--usage-decrypt")
	tokens := open(t)
	tokens.TryAgainAtOnce()
	var told []string
	tokens.Changed = func(_ pkcs11.URI, err error) { told = append(told, fmt.Sprint(err == nil)) }
	key := locate(t, tokens, hsm.URI("west", "capf"))
	message := encrypted(t, key, make([]byte, 48))
	decrypt := func() error {
		got, err := key.Decrypt(rand.Reader, message, sessionKey(48))
		if err == nil && !bytes.Equal(got, make([]byte, 48)) {
			return errors.New("another key")
		}
		return err
	}
	for _, first := range []func() error{key.Prove, decrypt} {
		hsm.Pull("west")
		err := first()
		if !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), `"token=west" is not there`) {
			t.Fatalf("without the token: %v", err)
		}
		hsm.Plug("west")
		if err := first(); err != nil {
			t.Fatalf("plugged in again: %v", err)
		}
		// Out and in between two uses.
		hsm.Pull("west")
		_ = decrypt()
		hsm.Plug("west")
		if err := errors.Join(decrypt(), key.Prove()); err != nil {
			t.Fatalf("plugged in again: %v", err)
		}
	}
	if got := strings.Join(told, " "); got != "false true false true false true false true" {
		t.Errorf("told %s", got)
	}
}

// TestManyAtOnce uses one key from many goroutines, while the token is closed under them now and then.
func TestManyAtOnce(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	hsm.Generate("west", "capf", "01", 2048, "--usage-decrypt")
	tokens := open(t)
	key := locate(t, tokens, hsm.URI("west", "capf"))
	message := encrypted(t, key, make([]byte, 48))
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			for range 5 {
				if err := key.Prove(); err != nil {
					t.Error(err)
				}
				got, err := key.Decrypt(rand.Reader, message, sessionKey(48))
				if err != nil || !bytes.Equal(got, make([]byte, 48)) {
					t.Errorf("%x, %v", got, err)
				}
			}
		})
	}
	for range 3 {
		tokens.Close()
	}
	group.Wait()
}
