package ca_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

var takeoverTime = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// foreign is an identity as another CAPF has made it.
func foreign() x509.Certificate {
	return x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "CAPF-4f2e"}, NotBefore: takeoverTime.AddDate(-1, 0, 0),
		NotAfter: takeoverTime.AddDate(9, 0, 0), BasicConstraintsValid: true, IsCA: true, SubjectKeyId: []byte{1, 2, 3},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature}
}

func signed(t testing.TB, template x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

func pkcs1(key *rsa.PrivateKey) []byte {
	return block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

// tree gives every file of a folder with its content and mode.
func tree(t testing.TB, folder string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		out[path] = info.Mode().String() + info.ModTime().String() + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTakeOver(t *testing.T) {
	key := rsaKey(t, 2048)
	certificate := signed(t, foreign(), key)
	chain := signed(t, foreign(), rsaKey(t, 2048))
	for name, content := range map[string][]byte{
		"PKCS #1": slices.Concat(certificate, pkcs1(key)), "PKCS #8, key first": slices.Concat([]byte("text\n"), pkcs8(t, key), certificate),
		"another certificate before": slices.Concat(chain, certificate, pkcs1(key)),
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			taken, err := ca.TakeOver(folder, content, at(takeoverTime))
			if err != nil || !taken.Created || taken.Name() != "CAPF-4f2e" || len(taken.Notes) != 0 {
				t.Fatalf("got %+v, %v", taken, err)
			}
			before := tree(t, folder)
			for _, file := range []string{"CAPF.cer", "CAPF-4f2e.0", "keys/capf.pem"} {
				if before[filepath.Join(folder, file)] == "" {
					t.Errorf("%s is missing", file)
				}
			}
			if mode := before[filepath.Join(folder, "keys/capf.pem")][:10]; mode != "-rw-------" {
				t.Errorf("the key has mode %s", mode)
			}
			// It expires, and is still the same.
			again, err := ca.TakeOver(folder, content, at(takeoverTime.AddDate(20, 0, 0)))
			if err != nil || again.Created {
				t.Errorf("again: %+v, %v", again, err)
			}
			if after := tree(t, folder); len(after) != 3 || !slices.Equal(sortedValues(before), sortedValues(after)) {
				t.Error("the second time something has changed")
			}
			loaded, err := ca.Load(folder, at(takeoverTime))
			if err != nil {
				t.Fatal(err)
			}
			lsc := issue(t, loaded, rsaKey(t, 1024).Public(), nil)
			if _, err := capf.VerifyChain(lsc, []*x509.Certificate{taken.Certificate}, takeoverTime); err != nil {
				t.Error(err)
			}
		})
	}
}

func sortedValues(files map[string]string) (out []string) {
	for _, content := range files {
		out = append(out, content)
	}
	slices.Sort(out)
	return out
}

func TestTakeOverNeverReplaces(t *testing.T) {
	folder := t.TempDir()
	if _, _, err := ca.Activate(folder, ca.Options{CommonName: "CAPF-ours"}, at(takeoverTime)); err != nil {
		t.Fatal(err)
	}
	before := tree(t, folder)
	key := rsaKey(t, 2048)
	_, err := ca.TakeOver(folder, slices.Concat(signed(t, foreign(), key), pkcs1(key)), at(takeoverTime))
	if !capf.HasCode(err, capf.CodeConflict) || !strings.Contains(err.Error(), "active already as CAPF-ours") {
		t.Errorf("got %v", err)
	}
	if after := tree(t, folder); !slices.Equal(sortedValues(before), sortedValues(after)) {
		t.Error("something has changed")
	}
}

func TestTakeOverNotes(t *testing.T) {
	key := rsaKey(t, 2048)
	for want, change := range map[string]func(*x509.Certificate){
		"there can be no CRL":          func(c *x509.Certificate) { c.KeyUsage &^= x509.KeyUsageCRLSign },
		"does not include keyCertSign": func(c *x509.Certificate) { c.KeyUsage &^= x509.KeyUsageCertSign },
		"does not say that it is a CA": func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false },
		"there can be no CRL: the CAPF certifi": func(c *x509.Certificate) {
			c.KeyUsage, c.IsCA, c.BasicConstraintsValid = x509.KeyUsageCertSign, false, false
		},
	} {
		template := foreign()
		change(&template)
		taken, err := ca.TakeOver(t.TempDir(), slices.Concat(signed(t, template, key), pkcs1(key)), at(takeoverTime))
		if err != nil || !strings.Contains(strings.Join(taken.Notes, "\n"), want) {
			t.Errorf("%s: got %+v, %v", want, taken, err)
		}
	}
	issuer, template := foreign(), foreign()
	issuer.Subject.CommonName = "Root"
	der, err := x509.CreateCertificate(rand.Reader, &template, &issuer, key.Public(), rsaKey(t, 2048))
	if err != nil {
		t.Fatal(err)
	}
	taken, err := ca.TakeOver(t.TempDir(), slices.Concat(block("CERTIFICATE", der), pkcs1(key)), at(takeoverTime))
	if err != nil || len(taken.Notes) != 1 || !strings.Contains(taken.Notes[0], "is not self-signed") {
		t.Errorf("got %+v, %v", taken, err)
	}
	template = foreign()
	template.SignatureAlgorithm = x509.SHA1WithRSA
	weak := withMD5(t, pemDER(signed(t, template, key)))
	taken, err = ca.TakeOver(t.TempDir(), slices.Concat(block("CERTIFICATE", weak.Raw), pkcs1(key)), at(takeoverTime))
	if err != nil || !strings.Contains(strings.Join(taken.Notes, "\n"), "broken hash (MD5-RSA)") {
		t.Errorf("got %+v, %v", taken, err)
	}
}

func pemDER(content []byte) []byte {
	found, _ := pem.Decode(content)
	return found.Bytes
}

func TestTakeOverRefuses(t *testing.T) {
	key, other := rsaKey(t, 2048), rsaKey(t, 2048)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	small := rsaKey(t, 1024)
	with := func(change func(*x509.Certificate)) []byte {
		template := foreign()
		change(&template)
		return slices.Concat(signed(t, template, key), pkcs1(key))
	}
	whole := with(func(*x509.Certificate) {})
	certificate := signed(t, foreign(), key)
	locked := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x"), Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "DES-EDE3-CBC,00"}})
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":             {nil, "no PEM block"},
		"DER":               {pemDER(certificate), "no PEM block"},
		"certificate alone": {certificate, "no private key"},
		"key alone":         {pkcs1(key), "no certificate"},
		"another's key":     {slices.Concat(certificate, pkcs1(other)), "the private key is not that of the certificate"},
		"two keys":          {slices.Concat(certificate, pkcs1(key), pkcs1(other)), "more than one private key"},
		"passphrase":        {slices.Concat(certificate, locked), "has a passphrase"},
		"passphrase, new":   {slices.Concat(certificate, block("ENCRYPTED PRIVATE KEY", []byte("x"))), "has a passphrase"},
		"EC key":            {slices.Concat(signed(t, foreign(), curve), block("EC PRIVATE KEY", sec1)), "only RSA keys sign"},
		"EC key, PKCS #8":   {slices.Concat(signed(t, foreign(), curve), pkcs8(t, curve)), "is not an RSA key"},
		"torn key":          {slices.Concat(certificate, block("RSA PRIVATE KEY", []byte("x"))), "the private key cannot be read"},
		"damaged":           {slices.Concat(block("CERTIFICATE", []byte("x")), pkcs1(key)), "PEM block 1"},
		"small key":         {slices.Concat(signed(t, foreign(), small), pkcs1(small)), "has 1024 bits"},
		"expired":           {with(func(c *x509.Certificate) { c.NotAfter = takeoverTime.Add(-time.Hour) }), "expired on 2026-03-01"},
		"not yet":           {with(func(c *x509.Certificate) { c.NotBefore = takeoverTime.Add(time.Hour) }), "is not valid before"},
		"no CA":             {with(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }), "it is no CA"},
		"path in the name":  {with(func(c *x509.Certificate) { c.Subject.CommonName = "../CAPF" }), "it becomes a file name"},
		"no name":           {with(func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"x"}} }), "it becomes a file name"},
		"too long":          {make([]byte, ca.MaxIdentityFile+1), "more than 1048576 bytes"},
		"too many blocks":   {slices.Concat(bytes.Repeat(block("X", nil), 201), whole), "more than 200 PEM blocks"},
	} {
		folder := t.TempDir()
		_, err := ca.TakeOver(folder, test.content, at(takeoverTime))
		if !capf.HasCode(err, capf.CodeInvalid) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", name, err)
		}
		if files := tree(t, folder); len(files) != 0 {
			t.Errorf("%s: %d files were made", name, len(files))
		}
	}
}

// Whatever the file is, an error says so and shows nothing of the key.
func FuzzTakeOver(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	certificate := signed(f, foreign(), key)
	f.Add(slices.Concat(certificate, pkcs1(key)))
	f.Add(slices.Concat(pkcs8(f, key), certificate))
	f.Add([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		taken, err := ca.TakeOver(t.TempDir(), content, at(takeoverTime))
		if (taken == nil) != (err != nil) || err != nil && !capf.HasCode(err, capf.CodeInvalid) {
			t.Fatalf("got %v, %v", taken, err)
		}
		if err != nil && strings.Contains(err.Error(), "MII") {
			t.Errorf("the error shows the file: %v", err)
		}
	})
}
