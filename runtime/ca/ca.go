// Package ca is the CAPF authority: it makes CAPF's own key pair and certificate (A1) and signs the public
// keys of phones with it (A2). The shape of the certificates comes from capf-protocol.md (CAPF certificate,
// recorded LSC) and from D2 of the guide (extended key usages).
package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// backdate is how long before now certificates begin, for phones and servers whose clocks are behind.
const backdate = time.Hour

// defaultKeySize is in bits.
const defaultKeySize = 2048

// Authority is CAPF's identity with its key: it issues LSCs and is what the service shows in handshakes.
type Authority struct {
	Certificate *x509.Certificate
	signer      crypto.Signer
	reference   string // to the key in its token; empty: the key lies in the file
	noDecrypt   bool   // what that key cannot do there, as far as Ready has found out
	noPSS       bool
	random      io.Reader
	clock       func() time.Time
}

// Options say what a new identity is called.
type Options struct {
	CommonName         string // empty: `CAPF-` and 8 hex digits
	Organization       string // may be empty
	OrganizationalUnit string // may be empty
	KeySize            int    // bits of the RSA key: 2048, 3072 or 4096; 0: 2048
	// NewKey makes the key in a token; nil: it is made here and kept in a file.
	NewKey NewTokenKey
	// KeyInFile allows a next key in a file where the one in force lies in a token.
	KeyInFile bool
}

// Environment is what an authority needs beside its key; a test gives its own.
type Environment struct {
	Clock  func() time.Time
	Random io.Reader
	// TokenKey gives a key that lies in a token, by its reference; nothing is opened yet. Nil: such keys cannot be
	// used, but their certificates can.
	TokenKey func(reference string, public *rsa.PublicKey) (TokenKey, error)
}

// System is the clock and the randomness of the machine.
func System() Environment { return Environment{Clock: time.Now, Random: rand.Reader} }

// New makes a key pair and a self-signed certificate for it: 20 years, but not past 2049, where the time
// format in certificates changes into one that old phones do not read.
func New(options Options, environment Environment) (*Authority, error) {
	if options.CommonName == "" {
		name, err := randomName(environment.Random)
		if err != nil {
			return nil, err
		}
		options.CommonName = name
	}
	if options.KeySize == 0 {
		options.KeySize = defaultKeySize
	}
	if err := options.validate(); err != nil {
		return nil, err
	}
	key, reference, err := options.newKey(environment)
	if err != nil {
		return nil, err
	}
	template, err := authorityTemplate(options, key.Public(), environment)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(environment.Random, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the CAPF certificate: %w", err)
	}
	authority, err := newAuthority(der, key, environment)
	if err != nil {
		return nil, err
	}
	authority.reference = reference
	return authority, nil
}

func (o Options) newKey(environment Environment) (crypto.Signer, string, error) {
	if o.NewKey != nil {
		return o.NewKey(o.KeySize)
	}
	key, err := rsa.GenerateKey(environment.Random, o.KeySize)
	if err != nil {
		return nil, "", fmt.Errorf("make the CAPF key: %w", err)
	}
	return key, "", nil
}

func newAuthority(der []byte, signer crypto.Signer, environment Environment) (*Authority, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the CAPF certificate: %w", err)
	}
	return &Authority{Certificate: certificate, signer: signer, random: environment.Random, clock: environment.Clock}, nil
}

func randomName(random io.Reader) (string, error) {
	var id [4]byte
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return "", fmt.Errorf("make a name for CAPF: %w", err)
	}
	return fmt.Sprintf("CAPF-%x", id), nil
}

// Check tells whether an identity can be made so, before anything is done for it. What is left open is right: a common
// name is made, and a key size is 2048. CodeInvalid names what is wrong.
func (o Options) Check() error {
	if o.CommonName == "" {
		o.CommonName = "CAPF"
	}
	if o.KeySize == 0 {
		o.KeySize = defaultKeySize
	}
	return o.validate()
}

// validate checks the names. The common name becomes a file name on every server of the cluster.
func (o Options) validate() error {
	if err := checkName("common name", o.CommonName); err != nil {
		return err
	}
	for what, name := range map[string]string{"organization": o.Organization, "organizational unit": o.OrganizationalUnit} {
		if len(name) > 64 || strings.ContainsFunc(name, plain.IsControl) {
			return &capf.Error{Code: capf.CodeInvalid, Message: what, Hint: "use at most 64 bytes, none of them a control character"}
		}
	}
	switch o.KeySize {
	case 2048, 3072, 4096:
		return nil
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("CAPF key size %d", o.KeySize), Hint: "use 2048, 3072 or 4096"}
}

func checkName(what, name string) error {
	plain := name != "" && len(name) <= 64 && name[0] != '.' && name[0] != '-' && name[0] != ' ' && name[len(name)-1] != ' ' &&
		name[len(name)-1] != '.' && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._- ", r))
	})
	if plain {
		return nil
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("%s %q", what, name),
		Hint: "use 1 to 64 of A-Z a-z 0-9 . _ - and space, since it becomes a file name on every server"}
}

func authorityTemplate(options Options, key crypto.PublicKey, environment Environment) (*x509.Certificate, error) {
	serial, err := newSerial(environment.Random)
	if err != nil {
		return nil, err
	}
	keyID, err := keyIdentifier(key)
	if err != nil {
		return nil, err
	}
	now := environment.Clock().UTC().Truncate(time.Second)
	notAfter := now.AddDate(20, 0, 0)
	if latest := time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC); notAfter.After(latest) {
		notAfter = latest
	}
	subject := pkix.Name{CommonName: options.CommonName}
	if options.Organization != "" {
		subject.Organization = []string{options.Organization}
	}
	if options.OrganizationalUnit != "" {
		subject.OrganizationalUnit = []string{options.OrganizationalUnit}
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: now.Add(-backdate), NotAfter: notAfter,
		// Newer phones refuse it without CA:TRUE and keyCertSign [C]; keyEncipherment is for the RSA key
		// exchange of old ones, cRLSign for our CRL.
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageKeyEncipherment,
		SignatureAlgorithm: x509.SHA256WithRSA,
		SubjectKeyId:       keyID,
		AuthorityKeyId:     keyID,
	}, nil
}

// newSerial gives a positive random number of 128 bits.
func newSerial(random io.Reader) (*big.Int, error) {
	var bytes [16]byte
	if _, err := io.ReadFull(random, bytes[:]); err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	bytes[0] |= 0x40 // never short, never zero
	return new(big.Int).SetBytes(bytes[:]), nil
}

// keyIdentifier is method 1 of RFC 5280, 4.2.1.2: SHA-1 of the key's bits, a name and no protection.
func keyIdentifier(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	sum := sha1.Sum(info.PublicKey.RightAlign())
	return sum[:], nil
}

// Name is the common name of the CAPF certificate.
func (a *Authority) Name() string { return a.Certificate.Subject.CommonName }

// TLS is the certificate for handshakes with phones.
func (a *Authority) TLS() tls.Certificate {
	certificate := tls.Certificate{Certificate: [][]byte{a.Certificate.Raw}, PrivateKey: working(a.signer), Leaf: a.Certificate}
	if a.noDecrypt {
		certificate.PrivateKey = struct{ crypto.Signer }{a.signer}
	}
	if a.noPSS {
		certificate.SupportedSignatureAlgorithms = pkcs1Schemes
	}
	return certificate
}
