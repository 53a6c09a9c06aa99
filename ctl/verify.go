package ctl

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verification is a list whose signature is good, and who made it.
type Verification struct {
	File        *File
	SAST        *Record           // the record of the token that signed
	Certificate *x509.Certificate // of that token
}

// Verify decodes a list and checks all that can be checked without another one: the header's numbers,
// that the signer is a SAST of the list, the signature by that SAST's key, and that the fields of each
// record are those of its certificate. Validity dates and issuers are not looked at: the list itself is
// the authority. The error names byte and element (*FormatError), and who signed.
func Verify(raw []byte) (*Verification, error) {
	return verifyAs(raw, FileName)
}

// VerifyITL is Verify for an ITLFile.tlv.
func VerifyITL(raw []byte) (*Verification, error) { return verifyAs(raw, ITLFileName) }

func verifyAs(raw []byte, name string) (*Verification, error) {
	file, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	inspection := file.inspect(raw, nil, name)
	if len(inspection.Faults) > 0 {
		return nil, inspection.Faults[0]
	}
	return &inspection.Verification, nil
}

// Inspection is a list with everything that is wrong with it.
type Inspection struct {
	Verification         // the record and the certificate of the signer: nil where the signature is not good
	Faults       []error // each with a *FormatError; the one of the signature first, then in the order of the file
}

// Inspect looks for what Verify does, in a CTLFile.tlv or ITLFile.tlv, and does not stop at the first fault. A list
// that cannot be decoded is an error.
func Inspect(raw []byte) (*Inspection, error) {
	file, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	return file.inspect(raw, nil, FileName, ITLFileName), nil
}

// inspect is Inspect for a list that has been decoded from these bytes, and is to have one of the names. Visit, if there
// is one, is shown each record once it is known who signed; its certificate is nil where there is none to be read.
func (f *File) inspect(raw []byte, visit func(found *Inspection, record *Record, certificate *x509.Certificate), names ...string) *Inspection {
	found := &Inspection{Verification: Verification{File: f}}
	add := func(err error) {
		if err != nil {
			found.Faults = append(found.Faults, err)
		}
	}
	var err error
	found.SAST, found.Certificate, err = f.signedBy(raw, f)
	add(err)
	add(f.checkPadding())
	add(f.checkName(names))
	for i := range f.Records {
		certificate, err := f.Records[i].agrees()
		add(err)
		if visit != nil {
			visit(found, &f.Records[i], certificate)
		}
	}
	return found
}

// PositionOf gives the byte at which the element with a fault begins, and false for an error that has none.
func PositionOf(err error) (int, bool) {
	var fault *FormatError
	if !errors.As(err, &fault) {
		return 0, false
	}
	return fault.Position, true
}

// VerifySuccession tells whether a phone that holds the previous list takes the next one: nil if so.
//
// What ctl-format.md asks for is that a SAST of the previous list signed the next one, so the signature is
// checked with the certificate in the previous list. Beyond that an older timestamp is refused, so that a
// list once withdrawn cannot be put back; an equal one is let through. The previous list need only be
// readable: the phone holds it already. Where both are readable the error wraps ErrNotSuccessor; where the time
// is all that is wrong, ErrOlder too.
func VerifySuccession(next, previous []byte) error {
	old, err := Decode(previous)
	if err != nil {
		return fmt.Errorf("previous list: %w", err)
	}
	file, err := Decode(next)
	if err != nil {
		return fmt.Errorf("next list: %w", err)
	}
	if _, _, err := file.signedBy(next, old); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSuccessor, err)
	}
	if err := file.sameKind(old); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSuccessor, err)
	}
	if file.Header.Timestamp.Before(old.Header.Timestamp) {
		return fmt.Errorf("%w: %w", ErrNotSuccessor, file.fault(TagTimestamp, "%w: %s is before %s", ErrOlder,
			file.Header.Timestamp.Format(time.RFC3339), old.Header.Timestamp.Format(time.RFC3339)))
	}
	return nil
}

// signedBy finds the SAST of a list (of its own one, or of the one before) that signed this one, and
// checks the signature. Raw is the file's bytes.
func (f *File) signedBy(raw []byte, list *File) (*Record, *x509.Certificate, error) {
	hash, err := f.algorithm()
	if err != nil {
		return nil, nil, err
	}
	sum := signedDigest(raw, f, hash)
	var failure error
	for _, record := range list.RecordsOf(RoleSAST) {
		if !record.ID.Equal(f.Header.Signer) {
			continue
		}
		certificate, err := f.checkSignature(record, hash, sum)
		if err == nil {
			return record, certificate, nil
		}
		failure = err
	}
	if failure == nil {
		failure = f.fault(TagSignerID, "the list is signed by %s, which is none of the security tokens (SAST): %s",
			f.Header.Signer, list.tokenNames())
	}
	return nil, nil, failure
}

func (f *File) tokenNames() string {
	const most = 8
	var names []string
	for i, record := range f.RecordsOf(RoleSAST) {
		if i == most {
			names = append(names, "and others")
			break
		}
		names = append(names, record.ID.String())
	}
	if names == nil {
		return "there are none"
	}
	return strings.Join(names, ", ")
}

// String returns subject and serial number, fit for one line.
func (id SignerID) String() string {
	const most = 64 // bytes; certificates have at most 20
	return quote(id.Subject) + " serial " + hex.EncodeToString(id.Serial[:min(len(id.Serial), most)])
}

// algorithm returns the digest's hash function, if this is a signature that can be checked at all.
func (f *File) algorithm() (crypto.Hash, error) {
	hash, ok := f.Header.Digest.Hash()
	if !ok {
		return 0, f.fault(TagDigestAlgorithm, "%d is none of the known ones (1 SHA-1, 3 SHA-512)", byte(f.Header.Digest))
	}
	if f.Header.SignatureAlgorithm != algorithmRSA {
		return 0, f.fault(TagSignatureAlgorithm, "%d is not RSA (0), the only known one", f.Header.SignatureAlgorithm)
	}
	return hash, nil
}

func (f *File) checkSignature(record *Record, hash crypto.Hash, sum []byte) (*x509.Certificate, error) {
	certificate, err := record.ParseCertificate()
	if err != nil {
		return nil, fmt.Errorf("the list is signed by %s: %w", record.ID, err)
	}
	key, err := tokenKey(certificate)
	if err != nil {
		return nil, record.fault(TagCertificate, "the list is signed by %s: %w", record.ID, err)
	}
	if f.Header.Modulus.Bits() != key.N.BitLen() {
		return nil, f.fault(TagSignatureModulus, "%s, but the key of %s has %d bits", f.Header.Modulus, record.ID, key.N.BitLen())
	}
	if err := rsa.VerifyPKCS1v15(key, hash, sum, f.Header.Signature); err != nil {
		return nil, f.fault(TagSignature, "the list was changed, or not signed with the key of %s: %w", record.ID, err)
	}
	return certificate, nil
}

// checkPadding and checkName check what the signature cannot: that the header is one that phones read.
func (f *File) checkPadding() error {
	if f.Header.Length%4 != 0 {
		return f.fault(TagHeaderLength, "%d is no multiple of 4", f.Header.Length)
	}
	return nil
}

func (f *File) checkName(names []string) error {
	if slices.Contains(names, f.Header.FileName) {
		return nil
	}
	return f.fault(TagFileName, `%s instead of "%s"`, quote(f.Header.FileName), strings.Join(names, `" or "`))
}

// IsITL tells an ITLFile.tlv from a CTLFile.tlv, by the name that it carries.
func (f *File) IsITL() bool { return f.Header.FileName == ITLFileName }

// sameKind refuses the one kind of list after the other: a phone keeps them apart.
func (f *File) sameKind(previous *File) error {
	if f.IsITL() != previous.IsITL() {
		return f.fault(TagFileName, "%s, but the previous list is %s: %w",
			quote(f.Header.FileName), quote(previous.Header.FileName), ErrOtherKind)
	}
	return nil
}

// agrees checks that the fields of a record are those of its certificate, which it gives where that can be read. A hash
// record has nothing to compare with.
func (r *Record) agrees() (*x509.Certificate, error) {
	if r.IsHash() {
		return nil, nil
	}
	certificate, err := r.ParseCertificate()
	if err != nil {
		return nil, err
	}
	return certificate, r.agreesWith(certificate)
}

func (r *Record) agreesWith(certificate *x509.Certificate) error {
	if err := r.namesAgree(certificate); err != nil {
		return err
	}
	key, err := publicKeyBytes(certificate)
	if err != nil {
		return r.fault(TagPublicKey, "%w", err)
	}
	if !bytes.Equal(r.PublicKey, key) {
		return r.fault(TagPublicKey, "is not that of the certificate")
	}
	if !bytes.Equal(r.CertificateSignature, certificate.Signature) {
		return r.fault(TagCertificateSignature, "is not that of the certificate")
	}
	return nil
}

// namesAgree compares what names a certificate: subject, issuer and serial number.
func (r *Record) namesAgree(certificate *x509.Certificate) error {
	id, err := idOf(certificate)
	if err != nil {
		return r.fault(TagCertificate, "%w", err)
	}
	if !sameName(r.ID.Subject, id.Subject) {
		return r.fault(TagSubject, "%s, but the certificate has %s", quote(r.ID.Subject), quote(id.Subject))
	}
	if !sameName(r.ID.Issuer, id.Issuer) {
		return r.fault(TagIssuer, "%s, but the certificate has %s", quote(r.ID.Issuer), quote(id.Issuer))
	}
	// A serial number is taken with and without the zero that SerialBytes leaves out.
	if !bytes.Equal(r.ID.Serial, id.Serial) && !bytes.Equal(r.ID.Serial, serialContent(certificate)) {
		return r.fault(TagSerial, "%.64x, but the certificate has %x", r.ID.Serial, id.Serial)
	}
	return nil
}
