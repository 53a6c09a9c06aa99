//go:debug rsa1024min=0

package pkcs11_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/pkcs11"
	"capf/runtime/pkcs11/softhsmtest"
)

// The setting above is that of the program: security tokens may have keys of 512 bits.

const samples = "../../testdata/ctl/tokens/"

func rightPIN(pkcs11.Slot) (string, error) { return softhsmtest.PIN, nil }

func parse(t testing.TB, text string) pkcs11.URI {
	t.Helper()
	uri, err := pkcs11.ParseURI(text)
	if err != nil {
		t.Fatal(err)
	}
	return uri
}

func open(t testing.TB) *pkcs11.Tokens {
	tokens := pkcs11.New()
	t.Cleanup(tokens.Close)
	return tokens
}

func locate(t testing.TB, tokens *pkcs11.Tokens, uri string) *pkcs11.Key {
	t.Helper()
	key, err := tokens.Locate(parse(t, uri), rightPIN)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sampleCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	content, err := os.ReadFile(samples + name + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			return certificate
		}
	}
	t.Fatal("no certificate")
	return nil
}

func sign(t testing.TB, key *pkcs11.Key, options crypto.SignerOpts) error {
	t.Helper()
	_, err := key.Sign(rand.Reader, make([]byte, options.HashFunc().Size()), options)
	return err
}

// TestSign signs with keys of all sizes that security tokens have; Sign verifies what it gives.
func TestSign(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	tokens := open(t)
	for i, size := range []string{"512", "1024", "2048", "4096"} {
		hsm.Import("west", "sast "+size, fmt.Sprintf("0%d", i+1), samples+size+".pem")
		key := locate(t, tokens, strings.ReplaceAll(hsm.URI("west", "sast "+size), " ", "%20"))
		certificate, err := key.Certificate()
		if err != nil || !certificate.Equal(sampleCertificate(t, size)) {
			t.Fatalf("%s: %v, %v", size, certificate, err)
		}
		if fmt.Sprint(key.Public().(*rsa.PublicKey).N.BitLen()) != size {
			t.Errorf("%s: %v", size, key.Public())
		}
		ways := []crypto.SignerOpts{crypto.SHA1, crypto.MD5SHA1, crypto.SHA256}
		if size != "512" {
			ways = append(ways, crypto.SHA512, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
		}
		for _, way := range ways {
			if err := sign(t, key, way); err != nil {
				t.Errorf("%s bits, %v: %v", size, way, err)
			}
		}
		if err := sign(t, key, crypto.SHA3_256); err == nil {
			t.Error("signs a hash that has no place in a signature of ours")
		}
		if _, err := key.Sign(rand.Reader, make([]byte, 5), crypto.SHA1); err == nil {
			t.Error("signs what is no digest")
		}
	}
}

// TestKeyWithoutPublicHalf has only the private key in the token, as some tools leave it.
func TestKeyWithoutPublicHalf(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	hsm.Import("west", "sast", "01", samples+"1024.pem")
	hsm.Delete("west", "pubkey", "01")
	hsm.Delete("west", "cert", "01")
	tokens := open(t)
	key := locate(t, tokens, hsm.URI("west", "sast"))
	if !sampleCertificate(t, "1024").PublicKey.(*rsa.PublicKey).Equal(key.Public()) {
		t.Error("another public key")
	}
	if _, err := key.Certificate(); !capf.HasCode(err, capf.CodeNotFound) || !strings.Contains(err.Error(), "--certificate") {
		t.Error(err)
	}
}

// TestNotFound holds what is said where a URI names nothing, or too much.
func TestNotFound(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	hsm.AddToken("east")
	for id, name := range map[string]string{"01": "1024", "02": "2048"} {
		hsm.Import("west", "sast"+id, id, samples+name+".pem")
	}
	tokens := open(t)
	uri := func(path string) string { return "pkcs11:" + path + "?module-path=" + hsm.Module }
	for _, test := range []struct {
		uri  string
		code capf.Code
		want []string
	}{
		{uri("token=north;object=sast01"), capf.CodeUnavailable, []string{`token "token=north" is not there`, `token "west"`, `token "east"`, "plug it in"}},
		{uri("manufacturer=SoftHSM%20project;serial=0;object=sast01"), capf.CodeUnavailable, []string{"is not there"}},
		{uri("token=west;object=other"), capf.CodeNotFound, []string{`token "west"`, "no private RSA key"}},
		{uri("token=east"), capf.CodeNotFound, []string{`token "east"`}},
		{uri("token=west"), capf.CodeRefused, []string{"2 private keys match", "object=sast01;id=%01 (1024 bits)", "object=sast02;id=%02 (2048 bits)"}},
		{"pkcs11:token=west?module-path=/no/such.so", capf.CodeInvalid, []string{"/no/such.so"}},
		{"pkcs11:token=west?module-path=/etc/passwd", capf.CodeInvalid, []string{"cannot be loaded"}},
		{"pkcs11:token=west?module-path=/etc", capf.CodeInvalid, []string{"is no file"}},
	} {
		_, err := tokens.Locate(parse(t, test.uri), rightPIN)
		if !capf.HasCode(err, test.code) {
			t.Errorf("%s: %v", test.uri, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), softhsmtest.PIN) {
				t.Errorf("%s: %v does not say %q", test.uri, err, want)
			}
		}
	}
	tokens.Close() // SoftHSM looks for tokens when it starts
	hsm.AddToken("west")
	if _, err := tokens.Find(parse(t, uri("token=west"))); !capf.HasCode(err, capf.CodeRefused) || !strings.Contains(err.Error(), "2 tokens match") {
		t.Error(err)
	}
}

// TestAnotherKey asks for a key by a certificate that is not that of the token.
func TestAnotherKey(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	hsm.Import("west", "sast", "01", samples+"1024.pem")
	other := sampleCertificate(t, "2048").PublicKey.(*rsa.PublicKey)
	key := open(t).Key(parse(t, hsm.URI("west", "sast")), other, rightPIN)
	if err := key.Prove(); err == nil || !strings.Contains(err.Error(), "holds no private key of the certificate") {
		t.Error(err)
	}
}

// TestTwoTokens has two open at a time, and keys that share one.
func TestTwoTokens(t *testing.T) {
	hsm := softhsmtest.New(t)
	for i, name := range []string{"west", "east"} {
		hsm.AddToken(name)
		hsm.Import(name, "first", "01", samples+[]string{"1024", "2048"}[i]+".pem")
		hsm.Import(name, "second", "02", samples+[]string{"512", "4096"}[i]+".pem")
	}
	tokens := open(t)
	var keys []*pkcs11.Key
	for _, uri := range []string{hsm.URI("west", "first"), hsm.URI("west", "second"), hsm.URI("east", "first"), hsm.URI("east", "second")} {
		keys = append(keys, locate(t, tokens, uri))
	}
	for _, again := range []bool{false, true} {
		for _, key := range keys {
			if err := key.Prove(); err != nil {
				t.Errorf("%s, closed before %t: %v", key, again, err)
			}
		}
		tokens.Close()
	}
}

// TestWrongPIN holds that a PIN that was refused is not tried again: tokens lock.
func TestWrongPIN(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	hsm.Import("west", "sast", "01", samples+"1024.pem")
	asked := 0
	tokens := open(t)
	key := tokens.Key(parse(t, hsm.URI("west", "sast")), sampleCertificate(t, "1024").PublicKey.(*rsa.PublicKey), func(pkcs11.Slot) (string, error) {
		asked++
		return "0000SECRET", nil
	})
	for range 3 {
		err := key.Prove()
		if err == nil || !strings.Contains(err.Error(), `token "west"`) || !strings.Contains(err.Error(), "refuses the PIN") || strings.Contains(err.Error(), "SECRET") {
			t.Fatal(err)
		}
		if !strings.Contains(err.Error(), "locks") && !strings.Contains(err.Error(), "lock") {
			t.Errorf("%v does not warn", err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if printed := fmt.Sprintf(format+" "+format, tokens, key); strings.Contains(printed, "SECRET") {
			t.Error(printed)
		}
	}
	// Another that asks has no better luck in this process; a new one has.
	if _, err := tokens.Locate(parse(t, hsm.URI("west", "sast")), rightPIN); err == nil {
		t.Error("the refusal was forgotten")
	}
	locate(t, open(t), hsm.URI("west", "sast"))
}

func TestNoPIN(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	refusal := errors.New("nobody is there to ask")
	for _, ask := range []pkcs11.AskPIN{func(pkcs11.Slot) (string, error) { return "", refusal }, func(pkcs11.Slot) (string, error) { return "", nil }} {
		_, err := open(t).Locate(parse(t, hsm.URI("west", "sast")), ask)
		if err == nil || !errors.Is(err, refusal) && !strings.Contains(err.Error(), "empty PIN") {
			t.Error(err)
		}
	}
}

// TestGenerate makes a key in a token, once.
func TestGenerate(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	tokens := open(t)
	uri := parse(t, "pkcs11:token=west?module-path="+hsm.Module)
	key, created, err := tokens.LocateOrGenerate(uri, 2048, []int{2048}, "CAPF", rightPIN)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if key.URI().Object != "CAPF" || len(key.URI().ID) == 0 {
		t.Errorf("named %s", key.URI())
	}
	again, created, err := tokens.LocateOrGenerate(uri, 2048, []int{2048}, "CAPF", rightPIN)
	if err != nil || created || !key.Public().(*rsa.PublicKey).Equal(again.Public()) || !bytes.Equal(again.URI().ID, key.URI().ID) {
		t.Fatal(created, again, err)
	}
	if _, _, err := tokens.LocateOrGenerate(uri, 4096, []int{3072, 4096}, "CAPF", rightPIN); !capf.HasCode(err, capf.CodeRefused) {
		t.Errorf("a key of another size: %v", err)
	}
	if decrypt, pss, err := key.Uses(); !decrypt || !pss || err != nil {
		t.Error(decrypt, pss, err)
	}
}
