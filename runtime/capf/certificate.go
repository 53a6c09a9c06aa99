package capf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
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
