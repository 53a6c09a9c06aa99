package capf

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"
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
	KeySHA256 string // of the SubjectPublicKeyInfo, hex

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
		SHA256: HexSHA256(der), KeySHA256: HexSHA256(parsed.RawSubjectPublicKeyInfo),
	}, nil
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
