package wire

// Reason says how a request or a session ended.
type Reason uint8

// The reasons that are known [C]; others are not.
const (
	ReasonNoAction      Reason = 0
	ReasonSuccess       Reason = 1 // certificate updated
	ReasonRefused       Reason = 7 // refused or invalid
	ReasonUnknownDevice Reason = 9
)

var reasonNames = [...]string{
	ReasonNoAction:      "no action",
	ReasonSuccess:       "success",
	ReasonRefused:       "refused or invalid",
	ReasonUnknownDevice: "unknown device",
}

// String is the name of the reason, or "reason N" where it has none.
func (r Reason) String() string { return nameOf(reasonNames[:], uint8(r), "reason") }

// CertificateType tells the certificate that CAPF issues from the one of the factory.
type CertificateType uint8

// The certificate types.
const (
	CertificateLSC CertificateType = 1
	CertificateMIC CertificateType = 2
)

var certificateTypeNames = [...]string{CertificateLSC: "LSC", CertificateMIC: "MIC"}

// String is the name of the type, or "certificate type N" where it has none.
func (t CertificateType) String() string {
	return nameOf(certificateTypeNames[:], uint8(t), "certificate type")
}

// AuthenticationType says how the phone is to show that it is the one it says it is.
type AuthenticationType uint8

// The authentication types.
const (
	AuthenticationNone       AuthenticationType = 0
	AuthenticationString     AuthenticationType = 1
	AuthenticationNullString AuthenticationType = 2
	AuthenticationLSC        AuthenticationType = 3 // the LSC, the MIC where there is none
	AuthenticationMIC        AuthenticationType = 4
)

var authenticationTypeNames = [...]string{
	AuthenticationNone:       "none",
	AuthenticationString:     "authentication string",
	AuthenticationNullString: "null string",
	AuthenticationLSC:        "LSC, then MIC",
	AuthenticationMIC:        "MIC",
}

// String is the name of the type, or "authentication type N" where it has none.
func (t AuthenticationType) String() string {
	return nameOf(authenticationTypeNames[:], uint8(t), "authentication type")
}

// KeyType is the algorithm of a key pair.
type KeyType uint8

// The key types.
const (
	KeyRSA KeyType = 0
	KeyEC  KeyType = 1
)

var keyTypeNames = [...]string{KeyRSA: "RSA", KeyEC: "EC"}

// String is the name of the type, or "key type N" where it has none.
func (t KeyType) String() string { return nameOf(keyTypeNames[:], uint8(t), "key type") }

// Curve is the curve of an EC key.
type Curve uint8

// The curves.
const (
	CurveP256 Curve = 0
	CurveP384 Curve = 1
	CurveP521 Curve = 2
)

var curveNames = [...]string{CurveP256: "P-256", CurveP384: "P-384", CurveP521: "P-521"}

// String is the name of the curve, or "curve N" where it has none.
func (c Curve) String() string { return nameOf(curveNames[:], uint8(c), "curve") }

// HashAlgorithm is the digest under a signature in the SHA-2 signed data. [P]
type HashAlgorithm uint8

// The hash algorithms.
const (
	HashSHA1   HashAlgorithm = 1
	HashSHA256 HashAlgorithm = 2
	HashSHA512 HashAlgorithm = 3
)

var hashAlgorithmNames = [...]string{HashSHA1: "SHA-1", HashSHA256: "SHA-256", HashSHA512: "SHA-512"}

// String is the name of the algorithm, or "hash algorithm N" where it has none.
func (h HashAlgorithm) String() string {
	return nameOf(hashAlgorithmNames[:], uint8(h), "hash algorithm")
}
