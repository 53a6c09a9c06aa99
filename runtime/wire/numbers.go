package wire

import "fmt"

// The numbers of the protocol, and their names: commands, elements, and what elements of one byte say.

// Command says what a message is for. The numbers, and which side sends them, are in capf-protocol.md.
type Command uint8

// The commands. Those marked [N] are known by number and name only.
const (
	CommandAuthenticationRequest     Command = 1  // server [C]
	CommandAuthenticationResponse    Command = 2  // phone [C]
	CommandKeyGenerationRequest      Command = 3  // server [C]
	CommandKeyGenerationResponse     Command = 4  // phone [C]
	CommandEncryptRequest            Command = 5  // [N] which of 5 and 6 is the request is not certain
	CommandEncryptResponse           Command = 6  // [N]
	CommandDecryptRequest            Command = 7  // [N]
	CommandDecryptResponse           Command = 8  // [N]
	CommandStoreCertificateRequest   Command = 9  // server [C]
	CommandStoreCertificateResponse  Command = 10 // phone [C]
	CommandFetchCertificateRequest   Command = 11 // server [P]
	CommandFetchCertificateResponse  Command = 12 // phone [P]
	CommandDeleteCertificateRequest  Command = 13 // server [P]
	CommandDeleteCertificateResponse Command = 14 // phone [P]
	CommandEndSession                Command = 15 // server [C]
	CommandRetryLater                Command = 16 // server [N] presumably with a retry delay
	CommandRequestInProgress         Command = 17 // phone [P]
	CommandStatusRequest             Command = 18 // [N]
	CommandStatusResponse            Command = 19 // [N]
	CommandAbortRequest              Command = 20 // [N]
	CommandAbortResponse             Command = 21 // [N]
	CommandSignCertificateRequest    Command = 22 // [N]
	CommandSignCertificateResponse   Command = 23 // [N]
)

var commandNames = [...]string{
	CommandAuthenticationRequest:     "authentication request",
	CommandAuthenticationResponse:    "authentication response",
	CommandKeyGenerationRequest:      "key generation request",
	CommandKeyGenerationResponse:     "key generation response",
	CommandEncryptRequest:            "encrypt request",
	CommandEncryptResponse:           "encrypt response",
	CommandDecryptRequest:            "decrypt request",
	CommandDecryptResponse:           "decrypt response",
	CommandStoreCertificateRequest:   "store certificate request",
	CommandStoreCertificateResponse:  "store certificate response",
	CommandFetchCertificateRequest:   "fetch certificate request",
	CommandFetchCertificateResponse:  "fetch certificate response",
	CommandDeleteCertificateRequest:  "delete certificate request",
	CommandDeleteCertificateResponse: "delete certificate response",
	CommandEndSession:                "end session",
	CommandRetryLater:                "retry later",
	CommandRequestInProgress:         "request in progress",
	CommandStatusRequest:             "status request",
	CommandStatusResponse:            "status response",
	CommandAbortRequest:              "abort request",
	CommandAbortResponse:             "abort response",
	CommandSignCertificateRequest:    "sign certificate request",
	CommandSignCertificateResponse:   "sign certificate response",
}

// String is the name of the command, or "command N" where it has none.
func (c Command) String() string { return nameOf(commandNames[:], uint8(c), "command") }

// Tag says what an element is.
type Tag uint8

// The elements. Those marked [N] are known by number and name only.
const (
	TagReason             Tag = 1  // one byte, [Reason]
	TagReasonInfo         Tag = 2  // text
	TagCertificateType    Tag = 3  // one byte, [CertificateType]
	TagCertificate        Tag = 4  // an inner element around the DER certificate [C]
	TagCertificateID      Tag = 5  // [N]
	TagSignedData         Tag = 6  // signature over a SHA-1 digest [P]; a secret
	TagVersion            Tag = 7  // one byte [C]
	TagAuthenticationType Tag = 8  // one byte, [AuthenticationType]
	TagPublicKey          Tag = 9  // DER SubjectPublicKeyInfo [C]
	TagKeySize            Tag = 10 // two bytes, in bits [C]
	TagPassword           Tag = 11 // the authentication string, NUL-terminated [C]; a secret
	TagRetryDelay         Tag = 12 // [N]
	TagDeviceName         Tag = 13 // NUL-terminated [C]
	TagSUDIData           Tag = 16 // records of the secure unique device identifier [P]; a secret
	TagKeyType            Tag = 17 // one byte, [KeyType]
	TagCurve              Tag = 18 // one byte, [Curve]
	TagDigestType         Tag = 19 // [N]
	TagSHA2SignedData     Tag = 20 // hash algorithm, length, signature [P]; a secret

	lastTag = TagSHA2SignedData
)

var tagNames = [...]string{
	TagReason:             "reason",
	TagReasonInfo:         "reason info",
	TagCertificateType:    "certificate type",
	TagCertificate:        "certificate",
	TagCertificateID:      "certificate ID",
	TagSignedData:         "signed data",
	TagVersion:            "version",
	TagAuthenticationType: "authentication type",
	TagPublicKey:          "public key",
	TagKeySize:            "key size",
	TagPassword:           "password",
	TagRetryDelay:         "retry delay",
	TagDeviceName:         "device name",
	TagSUDIData:           "SUDI data",
	TagKeyType:            "key type",
	TagCurve:              "curve",
	TagDigestType:         "digest type",
	TagSHA2SignedData:     "SHA-2 signed data",
}

// String is the name of the element, or "element N" where it has none.
func (t Tag) String() string { return nameOf(tagNames[:], uint8(t), "element") }

// Known says whether the element has a name.
func (t Tag) Known() bool { return int(t) < len(tagNames) && tagNames[t] != "" }

// Secret says whether the value of the element must not be seen: the authentication string, and the proofs
// of possession, which have no nonce and can be replayed by whoever has seen them.
func (t Tag) Secret() bool {
	return t == TagPassword || t == TagSignedData || t == TagSUDIData || t == TagSHA2SignedData
}

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

// nameOf is the name at a place of a table, or the kind of thing and its number.
func nameOf(names []string, number uint8, kind string) string {
	if int(number) < len(names) && names[number] != "" {
		return names[number]
	}
	return fmt.Sprintf("%s %d", kind, number)
}
