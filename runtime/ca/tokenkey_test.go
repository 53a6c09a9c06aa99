package ca_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

// vault holds keys as a token does: by a reference, and only while it is plugged in.
type vault struct {
	keys   map[string]*rsa.PrivateKey
	absent bool
	limits [2]bool // cannot decrypt, makes no PSS
	opened int
}

type vaultKey struct {
	vault     *vault
	reference string
	public    *rsa.PublicKey
}

var errAbsent = errors.New("the vault is not there")

func (k vaultKey) Public() crypto.PublicKey { return k.public }

func (k vaultKey) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if k.vault.absent {
		return nil, errAbsent
	}
	return k.vault.keys[k.reference].Sign(random, digest, options)
}

func (k vaultKey) Decrypt(random io.Reader, message []byte, options crypto.DecrypterOpts) ([]byte, error) {
	if k.vault.absent {
		return nil, errAbsent
	}
	return k.vault.keys[k.reference].Decrypt(random, message, options)
}

func (k vaultKey) Uses() (decrypt, pss bool, err error) {
	k.vault.opened++
	if k.vault.absent {
		return false, false, errAbsent
	}
	return !k.vault.limits[0], !k.vault.limits[1], nil
}

func (v *vault) environment() ca.Environment {
	return ca.Environment{Clock: func() time.Time { return noon }, Random: rand.Reader, TokenKey: func(reference string, public *rsa.PublicKey) (ca.TokenKey, error) {
		return vaultKey{v, reference, public}, nil
	}}
}

// newKey makes keys under this reference.
func (v *vault) newKey(reference string) ca.NewTokenKey {
	return func(bits int) (ca.TokenKey, string, error) {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, "", err
		}
		v.keys[reference] = key
		return vaultKey{v, reference, &key.PublicKey}, reference, nil
	}
}

const reference = "pkcs11:token=vault;object=CAPF;id=%01?module-path=/usr/lib/p.so"

func activateInVault(t *testing.T, v *vault) (directory string) {
	t.Helper()
	v.keys = map[string]*rsa.PrivateKey{}
	directory = t.TempDir()
	authority, created, err := ca.Activate(directory, ca.Options{CommonName: "CAPF-vault", NewKey: v.newKey(reference)}, v.environment())
	if err != nil || !created || authority.InToken() != reference {
		t.Fatal(created, err)
	}
	return directory
}

// TestKeyInToken holds that the file names the key and has none, and that what needs no key does not open the token.
func TestKeyInToken(t *testing.T) {
	v := &vault{}
	directory := activateInVault(t, v)
	content, err := os.ReadFile(ca.IdentityPath(directory))
	if err != nil || bytes.Contains(content, []byte("PRIVATE")) || !bytes.Contains(content, []byte("URI: "+reference+"\n")) {
		t.Fatalf("%s, %v", content, err)
	}
	v.absent, v.opened = true, 0
	authority, created, err := ca.Activate(directory, ca.Options{NewKey: v.newKey("another")}, v.environment())
	if err != nil || created || authority.InToken() != reference || v.opened != 0 || v.keys["another"] != nil {
		t.Fatal(authority, created, err, v.opened)
	}
	if _, err := authority.Ready(); !errors.Is(err, errAbsent) {
		t.Error(err)
	}
	request := capf.LSCRequest{Device: "SEP001122334455", PublicKey: authority.Certificate.PublicKey}
	if _, err := authority.Issue(context.Background(), request); !errors.Is(err, errAbsent) {
		t.Error(err)
	}
	v.absent = false
	if notes, err := authority.Ready(); err != nil || len(notes) != 0 {
		t.Error(notes, err)
	}
	if _, err := authority.Issue(context.Background(), request); err != nil {
		t.Error(err)
	}
}

// TestKeyInTokenWithoutTokens reads the certificate where nobody gave the means to get at the key.
func TestKeyInTokenWithoutTokens(t *testing.T) {
	v := &vault{}
	directory := activateInVault(t, v)
	environment := v.environment()
	environment.TokenKey = nil
	authority, err := ca.Load(directory, environment)
	if err != nil || authority.Name() != "CAPF-vault" {
		t.Fatal(err)
	}
	request := capf.LSCRequest{Device: "SEP001122334455", PublicKey: authority.Certificate.PublicKey}
	if _, err := authority.Issue(context.Background(), request); !capf.HasCode(err, capf.CodeInternal) {
		t.Error(err)
	}
	refusal := errors.New("no such reference")
	environment.TokenKey = func(string, *rsa.PublicKey) (ca.TokenKey, error) { return nil, refusal }
	if _, err := ca.Load(directory, environment); !errors.Is(err, refusal) {
		t.Error(err)
	}
}

// TestTLSOfKeyInToken holds what handshakes are offered where the token cannot do all.
func TestTLSOfKeyInToken(t *testing.T) {
	for name, limits := range map[string][2]bool{"all": {}, "no decryption": {true, false}, "no PSS": {false, true}} {
		t.Run(name, func(t *testing.T) {
			v := &vault{limits: limits}
			directory := activateInVault(t, v)
			authority, err := ca.Load(directory, v.environment())
			if err != nil {
				t.Fatal(err)
			}
			notes, err := authority.Ready()
			if want := strings.Count(name, "no "); err != nil || len(notes) != want {
				t.Errorf("notes %q, %v", notes, err)
			}
			certificate := authority.TLS()
			if _, decrypts := certificate.PrivateKey.(crypto.Decrypter); decrypts == limits[0] {
				t.Errorf("decrypts: %t", decrypts)
			}
			for _, scheme := range certificate.SupportedSignatureAlgorithms {
				if scheme == tls.PSSWithSHA256 || scheme == tls.PSSWithSHA384 || scheme == tls.PSSWithSHA512 {
					t.Errorf("offers %v", scheme)
				}
			}
			if (certificate.SupportedSignatureAlgorithms != nil) != limits[1] {
				t.Error(certificate.SupportedSignatureAlgorithms)
			}
		})
	}
}

// TestRenewKeyInToken renews into a token, and into a file only where that is said.
func TestRenewKeyInToken(t *testing.T) {
	v := &vault{}
	directory := activateInVault(t, v)
	if _, err := ca.MakeNext(directory, ca.Options{}, nil, false, v.environment()); !capf.HasCode(err, capf.CodeRefused) {
		t.Fatal(err)
	}
	next, err := ca.MakeNext(directory, ca.Options{NewKey: v.newKey("pkcs11:second")}, nil, false, v.environment())
	if err != nil || next.InToken() != "pkcs11:second" {
		t.Fatal(err)
	}
	again, err := ca.Next(directory, v.environment())
	if err != nil || again.InToken() != "pkcs11:second" || !again.Certificate.Equal(next.Certificate) {
		t.Fatal(err)
	}
	next, err = ca.MakeNext(directory, ca.Options{KeyInFile: true}, nil, true, v.environment())
	if err != nil || next.InToken() != "" {
		t.Fatal(err)
	}
}

// TestDamagedReference reads files that name a key in a way that is not ours.
func TestDamagedReference(t *testing.T) {
	v := &vault{}
	directory := activateInVault(t, v)
	path := ca.IdentityPath(directory)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"no reference":     bytes.ReplaceAll(sound, []byte("URI: "), []byte("URL: ")),
		"an empty one":     bytes.ReplaceAll(sound, []byte(reference), nil),
		"a long one":       bytes.ReplaceAll(sound, []byte(reference), bytes.Repeat([]byte("x"), 5000)),
		"with a body":      bytes.ReplaceAll(sound, []byte("\n\n"), []byte("\n\nAAAA\n")),
		"certificate only": sound[:bytes.Index(sound, []byte("-----BEGIN PKCS11"))],
		"reference only":   sound[bytes.Index(sound, []byte("-----BEGIN PKCS11")):],
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ca.Load(directory, v.environment()); !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "a\nb"} {
		if _, _, err := ca.Activate(t.TempDir(), ca.Options{NewKey: func(bits int) (ca.TokenKey, string, error) {
			key, _, err := v.newKey("x")(bits)
			return key, bad, err
		}}, v.environment()); err == nil {
			t.Errorf("reference %q is kept", bad)
		}
	}
}
