package ca

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"capf/internal/durable"
	"capf/runtime/capf"
)

const (
	keyFolder = "keys"
	// identityFile holds the certificate and its key together, so that one rename makes both.
	identityFile    = "capf.pem"
	certificateFile = "CAPF.cer"
	dotZero         = ".0" // behind the common name
)

// Activate makes CAPF's identity in a data directory, if there is none (A1), and sees that CAPF.cer (DER)
// and `<common name>.0` (PEM) lie beside it. Run again it changes nothing; created tells which it was.
func Activate(directory string, options Options, environment Environment) (authority *Authority, created bool, err error) {
	authority, err = Load(directory, environment)
	if capf.HasCode(err, capf.CodeNotActivated) {
		created = true
		if authority, err = New(options, environment); err == nil {
			err = authority.keep(directory)
		}
	}
	if err != nil {
		return nil, false, err
	}
	_, err = authority.writeCertificate(directory)
	return authority, created, err
}

// encode gives the certificate and its key, or where that is, as they stand in a file.
func (a *Authority) encode() ([]byte, error) {
	content := a.pem()
	if a.reference != "" {
		reference, err := encodeReference(a.reference)
		if err != nil {
			return nil, err
		}
		return append(content, reference...), nil
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.signer)
	if err != nil {
		return nil, fmt.Errorf("encode the CAPF key: %w", err)
	}
	return append(content, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), nil
}

// writeOnce makes a file that is whole and on disk or not there, and fails where one of that name exists:
// of two activations at a time one wins, and no key is ever replaced.
func writeOnce(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write the CAPF identity: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	for _, step := range []func() error{temporary.Sync, temporary.Close,
		func() error { return os.Link(temporary.Name(), path) },
		func() error { return durable.SyncFolder(filepath.Dir(path)) }} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write the CAPF identity", Err: err, Hint: "run `capf init` again"}
	}
	return nil
}

// KeyFolder is the folder of the CAPF keys of a data directory.
func KeyFolder(directory string) string { return filepath.Join(directory, keyFolder) }

// IdentityPath is the file of the identity in force. It is only ever replaced as a whole.
func IdentityPath(directory string) string { return filepath.Join(directory, keyFolder, identityFile) }

// Load reads the identity of a data directory. Where there is none the error has CodeNotActivated.
func Load(directory string, environment Environment) (*Authority, error) {
	authority, err := loadFile(IdentityPath(directory), environment)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notActivated(directory)
	}
	return authority, err
}

func notActivated(directory string) error {
	return &capf.Error{Code: capf.CodeNotActivated, Message: "CAPF has no key and certificate in " + directory, Hint: "make them with `capf init`"}
}

// loadFile reads an identity, in force or not.
func loadFile(path string, environment Environment) (*Authority, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: "read the CAPF identity", Err: err, Hint: "check the file's owner and mode"}
	}
	der, key, reference, err := parseIdentity(content)
	if err != nil {
		return nil, damaged(path, err)
	}
	authority, err := newAuthority(der, key, environment)
	if err != nil {
		return nil, damaged(path, err)
	}
	if reference != "" {
		authority.reference = reference
		authority.signer, err = environment.tokenKey(reference, authority.Certificate.PublicKey)
		if err != nil {
			return nil, damaged(path, err)
		}
		return authority, nil // whether the key in the token is that of the certificate is seen when it is opened
	}
	if !key.PublicKey.Equal(authority.Certificate.PublicKey) {
		return nil, damaged(path, errors.New("the key is not that of the certificate"))
	}
	return authority, nil
}

func damaged(path string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: path + ": the CAPF identity is damaged", Err: err,
		Hint: "restore it from a backup; phones trust this key only"}
}

// parseIdentity finds the certificate, and the key or the reference to it. Its errors never show what stands in the
// file.
func parseIdentity(content []byte) (der []byte, key *rsa.PrivateKey, reference string, err error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			der = block.Bytes
		case "PRIVATE KEY":
			read, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, nil, "", errors.New("the key cannot be read")
			}
			key, _ = read.(*rsa.PrivateKey)
		case referenceBlock:
			if reference, err = parseReference(block); err != nil {
				return nil, nil, "", err
			}
		}
	}
	if der == nil || (key == nil) == (reference == "") {
		return nil, nil, "", errors.New("it does not hold a certificate and its key, or where that is")
	}
	return der, key, reference, nil
}

// writeCertificate writes the copies of the certificate for people and for the distribution, where they
// are missing or differ.
func (a *Authority) writeCertificate(directory string) (changed bool, err error) {
	for name, content := range a.CertificateFiles() {
		path := filepath.Join(directory, name)
		if present, err := os.ReadFile(path); err == nil && string(present) == string(content) {
			continue
		}
		if err := writeWhole(path, content, 0o644); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

// CertificateFiles gives the CAPF certificate as the files that servers hold it in, by name.
func (a *Authority) CertificateFiles() map[string][]byte {
	return map[string][]byte{
		certificateFile:    a.Certificate.Raw,
		a.Name() + dotZero: a.pem(),
	}
}

func (a *Authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

func writeWhole(path string, content []byte, mode fs.FileMode) error {
	if err := renameio.WriteFile(path, content, mode, renameio.IgnoreUmask()); err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "write " + path, Err: err, Hint: "check space and permissions"}
	}
	return nil
}
