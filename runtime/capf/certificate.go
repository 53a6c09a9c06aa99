package capf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"capf/internal/plain"
)

// CertificateSource says how a certificate came into the store.
type CertificateSource string

// The sources of certificates.
const (
	SourceIssued CertificateSource = "issued" // by this CAPF
	SourceSeen   CertificateSource = "seen"   // a phone showed it
	SourceLegacy CertificateSource = "legacy" // found in the files of an older CAPF
)

// Certificate is an LSC or MIC that was issued or seen.
type Certificate struct {
	ID        int64
	Device    string
	Kind      CertificateKind
	State     CertificateState
	Source    CertificateSource
	Serial    string // lower-case hex
	Subject   string // RFC 4514
	Issuer    string // RFC 4514
	NotBefore time.Time
	NotAfter  time.Time
	DER       []byte
	SHA256    string // of DER, hex
	KeySHA256 string // KeyIdentity of the public key

	Operation    int64 // the operation that issued or fetched it, 0 for none
	RecordedAt   time.Time
	ConfirmedAt  time.Time
	RevokedAt    time.Time
	RevokeReason string
}

// ReadCertificate fills what the DER itself tells.
func ReadCertificate(der []byte) (Certificate, error) {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	return Certificate{
		Serial: FormatSerial(parsed.SerialNumber), Subject: parsed.Subject.String(), Issuer: parsed.Issuer.String(),
		NotBefore: parsed.NotBefore.UTC(), NotAfter: parsed.NotAfter.UTC(), DER: der,
		SHA256: HexSHA256(der), KeySHA256: KeyIdentity(parsed.PublicKey, parsed.RawSubjectPublicKeyInfo),
	}, nil
}

// KeyIdentity is what a public key is known by: the SHA-256, in hex, over its modulus, or over its curve and the
// x-coordinate of its point. All keys of one identity are one: whoever has the private key of an RSA key can give it
// another exponent, and the negated point is the key of the negated number. Of a kind that no phone has, the key is
// taken as it is encoded (SubjectPublicKeyInfo).
func KeyIdentity(key crypto.PublicKey, encoded []byte) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return HexSHA256(append([]byte("RSA\x00"), key.N.Bytes()...))
	case *ecdsa.PublicKey:
		if point, err := key.Bytes(); err == nil { // 4, then x, then y
			return HexSHA256(append([]byte("EC "+key.Params().Name+"\x00"), point[1:(len(point)+1)/2]...))
		}
	}
	return HexSHA256(encoded)
}

// FormatSerial writes a serial number as lower-case hex with whole bytes and without separators.
func FormatSerial(serial *big.Int) string {
	if serial.Sign() < 0 {
		return "-" + FormatSerial(new(big.Int).Neg(serial))
	}
	if serial.Sign() == 0 {
		return "00"
	}
	return hex.EncodeToString(serial.Bytes())
}

// HexSHA256 gives the SHA-256 of some bytes in lower-case hex.
func HexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Anchor is a certificate by which phones' certificates of one kind are verified.
type Anchor struct {
	ID        int64
	Kind      CertificateKind // of the certificates that it vouches for
	Subject   string
	Serial    string
	NotBefore time.Time
	NotAfter  time.Time
	DER       []byte
	SHA256    string
	Origin    string // for a person: where it came from
	AddedAt   time.Time
}

// LSCRequest is what an issuer needs to know for an LSC.
type LSCRequest struct {
	Device     string
	PublicKey  crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	Parameters Parameters       // as they were when the session began
	Hash       SignatureHash    // of the LSC's signature; empty: HashSHA256
}

// VerifyChain finds, among the anchors, the one that issued a phone's certificate. Phones of this age carry
// certificates with SHA-1 signatures, and anchors that have expired, which Verify and CheckSignatureFrom of
// crypto/x509 refuse; so the signature is checked here: SHA-1 is allowed, MD5 never. The leaf must be in its
// time, an anchor's dates do not count. Every anchor is trusted by itself, an intermediate too.
func VerifyChain(leaf *x509.Certificate, anchors []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate is valid from %s to %s", FormatTime(leaf.NotBefore), FormatTime(leaf.NotAfter))
	}
	return FindIssuer(leaf, anchors)
}

// FindIssuer is VerifyChain without the dates: who issued a certificate that is only looked at.
func FindIssuer(leaf *x509.Certificate, anchors []*x509.Certificate) (*x509.Certificate, error) {
	problem := errors.New("no trust anchor has the name of its issuer: " + plain.Clip(leaf.Issuer.String()))
	for _, anchor := range anchors {
		if !bytes.Equal(anchor.RawSubject, leaf.RawIssuer) {
			continue
		}
		if anchor.BasicConstraintsValid && !anchor.IsCA {
			problem = fmt.Errorf("the trust anchor %s is no CA", anchor.Subject)
			continue
		}
		err := anchor.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature)
		if err == nil {
			return anchor, nil
		}
		problem = fmt.Errorf("not signed by the trust anchor %s: %w", anchor.Subject, err)
	}
	return nil, problem
}

// KindOf tells by its common name whether a certificate is the LSC of a device (the name itself) or its MIC
// (a name that ends in `-SEP` and the MAC address), and false where it is neither: another speaks for it.
func KindOf(certificate *x509.Certificate, device string) (CertificateKind, bool) {
	name := certificate.Subject.CommonName
	if name == device {
		return LSC, true
	}
	if _, isPhone := MAC(device); isPhone && strings.HasSuffix(name, "-"+device) {
		return MIC, true
	}
	return "", false
}

// RevokeReason says why an administrator revokes an LSC, in the words of RFC 5280, 5.3.1.
type RevokeReason string

// The reasons that make sense for the certificate of a phone.
const (
	RevokeUnspecified        RevokeReason = "unspecified"
	RevokeKeyCompromise      RevokeReason = "key-compromise"
	RevokeAffiliationChanged RevokeReason = "affiliation-changed"
	RevokeSuperseded         RevokeReason = "superseded"
	RevokeCessation          RevokeReason = "cessation-of-operation"
	RevokePrivilegeWithdrawn RevokeReason = "privilege-withdrawn"
	// RevokeDeleted is what the store notes when the phone has confirmed a delete.
	RevokeDeleted RevokeReason = "deleted"
)

// RevokeReasons are those that an administrator may give.
var RevokeReasons = []RevokeReason{RevokeUnspecified, RevokeKeyCompromise, RevokeAffiliationChanged, RevokeSuperseded,
	RevokeCessation, RevokePrivilegeWithdrawn}

// UnmarshalText takes one of RevokeReasons.
func (v *RevokeReason) UnmarshalText(text []byte) error {
	return oneOf(v, "reason for a revocation", text, RevokeReasons)
}

// RevokedLSC is an LSC that was revoked just now, with what the administrator must know of its phone.
type RevokedLSC struct {
	Certificate Certificate
	// Phone is as it is after the revocation; nil where the phone is not in the store any more.
	Phone *Phone
	// WasCurrent tells that the phone was known to hold this one.
	WasCurrent bool
}

// Revocation is an entry of a CRL.
type Revocation struct {
	Serial    string // lower-case hex
	RevokedAt time.Time
	Reason    RevokeReason // empty or one that is not known: unspecified
}

// Revocations are what the CRL of one CAPF certificate is made of, read at one moment.
type Revocations struct {
	Entries []Revocation
	ReadAt  time.Time
	// Count is how many certificates, of whatever issuer, were revoked at that moment. It only grows.
	Count int64
}

// SignatureHash is the hash under the signature of an LSC.
type SignatureHash string

// The hashes. SHA-1 is for phones of the CallManager 4.1 era, which know nothing else.
const (
	HashSHA256 SignatureHash = "sha256"
	HashSHA1   SignatureHash = "sha1"
)

// SignatureHashes are all of them, the usual one first.
var SignatureHashes = []SignatureHash{HashSHA256, HashSHA1}

// UnmarshalText takes one of SignatureHashes.
func (v *SignatureHash) UnmarshalText(text []byte) error {
	return oneOf(v, "hash of the LSC's signature", text, SignatureHashes)
}
