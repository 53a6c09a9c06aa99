package wire

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
