package ca

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
)

// TestCrewKey signs and decrypts from many goroutines at a time, as handshakes do.
func TestCrewKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	service := working(key)
	if public, ok := service.Public().(*rsa.PublicKey); !ok || !public.Equal(&key.PublicKey) {
		t.Fatal("it shows another public key")
	}
	decrypter, ok := service.(crypto.Decrypter)
	if !ok {
		t.Fatal("it cannot do the RSA key exchange")
	}
	secret := []byte("premaster")
	//lint:ignore SA1019 the RSA key exchange of old phones is this padding
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(secret)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			signature, err := service.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err == nil {
				err = rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature)
			}
			if err != nil {
				t.Errorf("signature: %v", err)
			}
			if opened, err := decrypter.Decrypt(rand.Reader, sealed, nil); err != nil || !bytes.Equal(opened, secret) {
				t.Errorf("opened %q (%v)", opened, err)
			}
		})
	}
	all.Wait()
}

// TestCrewSurvives: what goes wrong in an operation is the error of that one; the crew works on.
func TestCrewSurvives(t *testing.T) {
	for range 20 { // more than there are cores
		if _, err := byCrew(func() ([]byte, error) { panic("broken key") }); err == nil || !strings.Contains(err.Error(), "broken key") {
			t.Fatalf("got %v, want the cause", err)
		}
	}
	if out, err := byCrew(func() ([]byte, error) { return []byte("done"), nil }); err != nil || string(out) != "done" {
		t.Errorf("the crew does not go on: %q, %v", out, err)
	}
}
