package ca

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"capf/runtime/capf"
)

// MaxIdentityFile is how long a file with an identity may be, in bytes.
const MaxIdentityFile = 1 << 20

// RSA keys of identities that are taken over, in bits. Smaller ones could be found out; no phone of this age reads
// larger ones in time.
const (
	minTakenKey = 2048
	maxTakenKey = 8192
)

// Taken is an identity that was taken over from a file.
type Taken struct {
	*Authority
	// Created is false where the data directory had that very identity already.
	Created bool
	// Notes say what will not work with it, or not everywhere; each is a line for a person. None where it was there.
	Notes []string
}

// TakeOver makes the certificate and the key of a file (PEM: one RSA key in PKCS #1 or #8 without a passphrase, and its
// certificate, such as capf.pem of a usecallmanager daemon) the identity of a data directory, so that phones which know
// it need no new list. CodeInvalid says what is wrong with the file, never what stands in it; CodeConflict: the
// directory has another identity, which is never replaced. Run again it changes nothing.
func TakeOver(directory string, content []byte, environment Environment) (*Taken, error) {
	given, current, notes, err := examine(directory, content, environment)
	switch {
	case err != nil:
		return nil, err
	case current != nil:
		_, err = current.writeCertificate(directory)
		return &Taken{Authority: current}, err
	}
	if err := given.keep(directory); err != nil {
		return nil, err
	}
	_, err = given.writeCertificate(directory)
	return &Taken{Authority: given, Created: true, Notes: notes}, err
}

// CheckTakeOver gives the error with which TakeOver would refuse, and changes nothing. The directory need not be there.
func CheckTakeOver(directory string, content []byte, environment Environment) error {
	_, _, _, err := examine(directory, content, environment)
	return err
}

// examine gives the identity of a file, and that of the directory where it is the same; nil where it has none. The notes
// are those of an identity that is taken over.
func examine(directory string, content []byte, environment Environment) (given, current *Authority, notes []string, err error) {
	given, err = readForeign(content, environment)
	if err != nil {
		return nil, nil, nil, &capf.Error{Code: capf.CodeInvalid, Message: "identity to take over", Err: err}
	}
	current, err = Load(directory, environment)
	switch {
	case capf.HasCode(err, capf.CodeNotActivated):
		if notes, err = given.checkForeign(); err != nil {
			return nil, nil, nil, &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("identity to take over, %s", given.Certificate.Subject), Err: err}
		}
		return given, nil, notes, nil
	case err != nil:
		return nil, nil, nil, err
	case !current.Certificate.Equal(given.Certificate):
		return nil, nil, nil, &capf.Error{Code: capf.CodeConflict, Message: fmt.Sprintf("CAPF is active already as %s, serial number %s", current.Name(), capf.FormatSerial(current.Certificate.SerialNumber)),
			Hint: "phones and servers know that certificate, so it is never replaced; to work with the other, give another --data"}
	}
	return given, current, nil, nil
}

// keep writes an identity where there is none.
func (a *Authority) keep(directory string) error {
	content, err := a.encode()
	if err != nil {
		return err
	}
	folder := filepath.Join(directory, keyFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder for keys: %w", err)
	}
	return writeOnce(filepath.Join(folder, identityFile), content)
}

// readForeign finds the key and, of the certificates, its own.
func readForeign(content []byte, environment Environment) (*Authority, error) {
	if len(content) > MaxIdentityFile {
		return nil, fmt.Errorf("the file has more than %d bytes", MaxIdentityFile)
	}
	var key *rsa.PrivateKey
	var certificates []*x509.Certificate
	blocks := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if blocks++; blocks > maxAnchors {
			return nil, fmt.Errorf("more than %d PEM blocks", maxAnchors)
		}
		switch {
		case block.Type == "CERTIFICATE":
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("PEM block %d: %w", blocks, err)
			}
			certificates = append(certificates, certificate)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			read, err := readKey(block)
			if err != nil {
				return nil, fmt.Errorf("PEM block %d: %w", blocks, err)
			}
			if key != nil {
				return nil, errors.New("holds more than one private key: give a file with one, and its certificate")
			}
			key = read
		}
	}
	switch {
	case blocks == 0:
		return nil, errors.New("no PEM block: give certificate and key in one PEM file (openssl x509 -inform DER, openssl pkcs12 -nodes)")
	case key == nil:
		return nil, errors.New("no private key: give the certificate and its key in one PEM file")
	case len(certificates) == 0:
		return nil, errors.New("no certificate: give the certificate and its key in one PEM file")
	}
	for _, certificate := range certificates {
		if key.PublicKey.Equal(certificate.PublicKey) {
			return newAuthority(certificate.Raw, key, environment)
		}
	}
	return nil, errors.New("the private key is not that of the certificate")
}

// readKey reads an RSA key. Its errors tell nothing of it.
func readKey(block *pem.Block) (*rsa.PrivateKey, error) {
	encrypted := block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
	var read any
	var err error
	switch {
	case encrypted:
		return nil, errors.New("the private key has a passphrase: write it without one to a file that only you can read (openssl pkey), and give that")
	case block.Type == "RSA PRIVATE KEY":
		read, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "PRIVATE KEY":
		read, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%.40q: only RSA keys sign LSCs here", block.Type)
	}
	if err != nil {
		return nil, errors.New("the private key cannot be read: it is damaged, or in a form that is not known here")
	}
	key, isRSA := read.(*rsa.PrivateKey)
	if !isRSA {
		return nil, errors.New("the private key is not an RSA key: only such sign LSCs here")
	}
	return key, nil
}

// checkForeign sees that an identity can serve, and says what it cannot do.
func (a *Authority) checkForeign() (notes []string, err error) {
	c := a.Certificate
	if err := checkName("common name", a.Name()); err != nil {
		return nil, err
	}
	if bits := c.PublicKey.(*rsa.PublicKey).N.BitLen(); bits < minTakenKey || bits > maxTakenKey {
		return nil, fmt.Errorf("its RSA key has %d bits, not %d to %d: make an identity with `capf init`", bits, minTakenKey, maxTakenKey)
	}
	now := a.clock()
	switch {
	case now.After(c.NotAfter):
		return nil, fmt.Errorf("the certificate expired on %s, and cannot issue any more: make an identity with `capf init`, and trust this one with `capf anchor add`", c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return nil, fmt.Errorf("the certificate is not valid before %s: check the clock of this machine", capf.FormatTime(c.NotBefore))
	}
	if err := CheckAnchor(c); err != nil {
		if !IsWeakAnchor(err) {
			return nil, err
		}
		notes = append(notes, "the certificate is signed with a broken hash ("+c.SignatureAlgorithm.String()+"): phones take it from their list only")
	}
	return append(notes, a.foreignNotes()...), nil
}

// foreignNotes names the rights that our own identities have and this one lacks.
func (a *Authority) foreignNotes() (notes []string) {
	c := a.Certificate
	if !c.BasicConstraintsValid {
		notes = append(notes, "the certificate does not say that it is a CA: newer phones may refuse it in a list")
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		notes = append(notes, "its key usage does not include keyCertSign: newer phones may refuse it in a list, and others its LSCs")
	}
	if err := a.CanSignCRL(); err != nil {
		notes = append(notes, "there can be no CRL: "+err.Error())
	}
	if !bytes.Equal(c.RawSubject, c.RawIssuer) {
		notes = append(notes, "the certificate is not self-signed: only what trusts itself by its list, or the issuer "+c.Issuer.String()+", trusts it")
	}
	return notes
}
