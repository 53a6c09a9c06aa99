// Package certfile reads the certificates of an old machine: the `*.0` files, which are PEM, and CAPF.cer, which is
// DER (legacy-layout.md).
//
// It copes with what is known to be in such files: text before the PEM block, several blocks, DER where PEM should be
// and the other way round, certificates that are expired, signed with MD5 or of 512-bit keys. Nothing but certificates is
// ever given to anybody: private keys may be among the other bytes, in forms that nobody knows. Of those there are place,
// size and digest. It says what a certificate is; whether it is trusted is judged over all machines of a cluster, by
// migrate.
//
// Go's x509 refuses negative serial numbers, and signatures of RSA keys under 1024 bits, unless the program carries
// the go:debug settings x509negativeserial=1 and rsa1024min=0.
package certfile

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"capf/legacy"
)

// MaxFile is the size in bytes of the largest certificate file that is read.
const MaxFile = 1 << 20

// SelfSignature says how a certificate stands to its own key.
type SelfSignature string

// A certificate whose issuer is its subject is self-issued: its signature is right, wrong, or (MD5, an unknown
// algorithm) cannot be told.
const (
	NotSelfIssued SelfSignature = "not-self-issued"
	Right         SelfSignature = "right"
	Wrong         SelfSignature = "wrong"
	NotVerifiable SelfSignature = "not-verifiable"
)

// Certificate is one that was found.
type Certificate struct {
	// Position is the line of its BEGIN, or line 0 for DER.
	legacy.Position
	DER []byte
	// CommonName is that of its subject.
	CommonName string
	// SHA256 is over the DER.
	SHA256 [sha256.Size]byte
	// SelfSigned tells that it is self-issued and its signature was verified with its own key (SHA-1 allowed, MD5
	// never, capf-protocol.md); its dates and key usage play no part. Signature tells the cases apart.
	SelfSigned bool
	Signature  SelfSignature
	// InCAPFFolder and IsCAPFCer tell where it was: in the CAPF folder itself, in a file CAPF.cer.
	InCAPFFolder, IsCAPFCer bool
	// IsIdentity tells that it was in capf.pem, beside the key of the CAPF that it names.
	IsIdentity bool
	// Row is the phone in whose row of a database it stood; empty for what was in a file.
	Row string
}

// NamesCAPF tells whether the common name of the subject has CAPF in it, in any case.
func (c Certificate) NamesCAPF() bool {
	return strings.Contains(strings.ToUpper(c.CommonName), "CAPF")
}

// Parsed reads the certificate from its DER each time: kept for the 50,000 phones of a
// database, what it gives would take several times the memory of that.
func (c Certificate) Parsed() *x509.Certificate {
	parsed, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return &x509.Certificate{Raw: c.DER} // it was read when it was found, and its bytes are the same
	}
	return parsed
}

// Options are what the content does not tell.
type Options struct {
	// InCAPFFolder tells that the file lies in the CAPF folder itself.
	InCAPFFolder bool
	// IsCAPFCer tells that the file is named CAPF.cer, which should be DER.
	IsCAPFCer bool
	// IsIdentity tells that the file is capf.pem, which holds a certificate and its key.
	IsIdentity bool
	// Now is the time that dates are compared with; zero: they are not.
	Now time.Time
}

// File is what a certificate file holds, in its order.
type File struct {
	Certificates []Certificate
	Kept         []legacy.KeptLine
	Findings     legacy.Findings
}

// Read reads a certificate file. Its error says that the file could not be read; whatever it holds is no error.
func Read(input legacy.Input, options Options) (*File, error) {
	opened, err := input.Open()
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	content, err := io.ReadAll(io.LimitReader(opened, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", legacy.Position{File: input.File}, err)
	}
	reader := &reader{file: &File{}, name: input.File, options: options}
	if err := reader.read(content); err != nil {
		return nil, err
	}
	return reader.file, nil
}

func (r *reader) at(line int) legacy.Position { return legacy.Position{File: r.name, Line: line} }

// add takes a certificate and says what is special about it.
func (r *reader) add(line int, parsed *x509.Certificate) {
	certificate := Certificate{
		Position: r.at(line), DER: parsed.Raw, CommonName: parsed.Subject.CommonName,
		SHA256: sha256.Sum256(parsed.Raw), InCAPFFolder: r.options.InCAPFFolder, IsCAPFCer: r.options.IsCAPFCer,
		IsIdentity: r.options.IsIdentity,
	}
	var cause error
	certificate.Signature, cause = selfSignature(parsed)
	certificate.SelfSigned = certificate.Signature == Right
	r.file.Certificates = append(r.file.Certificates, certificate)
	switch certificate.Signature {
	case Wrong:
		r.file.Findings.Warn(r.at(line), "names itself as issuer, but its signature is not of its own key: no trust anchor")
	case NotVerifiable:
		r.file.Findings.Warn(r.at(line), fmt.Sprintf("its own signature cannot be verified: no trust anchor by itself: %v", cause))
	}
	r.findProperties(line, parsed)
}

func (r *reader) findProperties(line int, parsed *x509.Certificate) {
	now := r.options.Now
	if !now.IsZero() && now.After(parsed.NotAfter) {
		r.file.Findings.Note(r.at(line), "expired on "+parsed.NotAfter.UTC().Format(time.DateOnly))
	}
	if !now.IsZero() && now.Before(parsed.NotBefore) {
		r.file.Findings.Note(r.at(line), "is not valid before "+parsed.NotBefore.UTC().Format(time.DateOnly))
	}
	if parsed.SignatureAlgorithm == x509.MD5WithRSA || parsed.SignatureAlgorithm == x509.MD2WithRSA {
		r.file.Findings.Note(r.at(line), "is signed with "+parsed.SignatureAlgorithm.String())
	}
	if key, ok := parsed.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 1024 {
		r.file.Findings.Note(r.at(line), fmt.Sprintf("has an RSA key of %d bits", key.N.BitLen()))
	}
}

// selfSignature verifies a self-issued certificate with its own key, and only that: CheckSignatureFrom would refuse
// SHA-1 and look at key usage and dates.
func selfSignature(parsed *x509.Certificate) (SelfSignature, error) {
	if string(parsed.RawSubject) != string(parsed.RawIssuer) {
		return NotSelfIssued, nil
	}
	err := parsed.CheckSignature(parsed.SignatureAlgorithm, parsed.RawTBSCertificate, parsed.Signature)
	switch {
	case err == nil:
		return Right, nil
	case errors.Is(err, rsa.ErrVerification):
		return Wrong, nil
	default:
		return NotVerifiable, err
	}
}
