package ctl

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"fmt"
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
	file, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	return file.verify(raw)
}

// verify is Verify for a list that has been decoded from these bytes.
func (f *File) verify(raw []byte) (*Verification, error) {
	record, certificate, err := f.signedBy(raw, f)
	if err != nil {
		return nil, err
	}
	if err := f.checkHeader(); err != nil {
		return nil, err
	}
	for i := range f.Records {
		if err := f.Records[i].agrees(); err != nil {
			return nil, err
		}
	}
	return &Verification{File: f, SAST: record, Certificate: certificate}, nil
}

// VerifySuccession tells whether a phone that holds the previous list takes the next one: nil if so.
//
// What ctl-format.md asks for is that a SAST of the previous list signed the next one, so the signature is
// checked with the certificate in the previous list. Beyond that an older timestamp is refused, so that a
// list once withdrawn cannot be put back; an equal one is let through. The previous list need only be
// readable: the phone holds it already. Where both are readable the error wraps ErrNotSuccessor.
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
	if file.Header.Timestamp.Before(old.Header.Timestamp) {
		return fmt.Errorf("%w: %w", ErrNotSuccessor, file.fault(TagTimestamp, "%s is before %s, that of the previous list",
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
	var names []string
	for _, record := range f.RecordsOf(RoleSAST) {
		names = append(names, record.ID.String())
	}
	if names == nil {
		return "there are none"
	}
	return strings.Join(names, ", ")
}

// String returns subject and serial number, fit for one line.
func (id SignerID) String() string {
	return fmt.Sprintf("%q serial %s", id.Subject, hex.EncodeToString(id.Serial))
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

// checkHeader checks what the signature cannot: that the header is one that phones read.
func (f *File) checkHeader() error {
	if f.Header.Length%4 != 0 {
		return f.fault(TagHeaderLength, "%d is no multiple of 4", f.Header.Length)
	}
	if f.Header.FileName != FileName {
		return f.fault(TagFileName, "%q instead of %q", f.Header.FileName, FileName)
	}
	return nil
}

// agrees checks that the fields of a record are those of its certificate. A hash record has nothing to
// compare with.
func (r *Record) agrees() error {
	if r.IsHash() {
		return nil
	}
	certificate, err := r.ParseCertificate()
	if err != nil {
		return err
	}
	if err := r.namesAgree(certificate); err != nil {
		return err
	}
	// A serial number is taken with and without the zero that SerialBytes leaves out.
	if !bytes.Equal(r.ID.Serial, SerialBytes(certificate)) && !bytes.Equal(r.ID.Serial, serialContent(certificate)) {
		return r.fault(TagSerial, "%x, but the certificate has %x", r.ID.Serial, SerialBytes(certificate))
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

func (r *Record) namesAgree(certificate *x509.Certificate) error {
	id, err := idOf(certificate)
	if err != nil {
		return r.fault(TagCertificate, "%w", err)
	}
	if !sameName(r.ID.Subject, id.Subject) {
		return r.fault(TagSubject, "%q, but the certificate has %q", r.ID.Subject, id.Subject)
	}
	if !sameName(r.ID.Issuer, id.Issuer) {
		return r.fault(TagIssuer, "%q, but the certificate has %q", r.ID.Issuer, id.Issuer)
	}
	return nil
}
