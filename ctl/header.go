package ctl

import "time"

// FileName is the name that a list carries and that phones ask TFTP servers for.
const FileName = "CTLFile.tlv"

// ITLFileName is the name of the list that newer phones take beside it, and without it. Its layout is that of
// ctl-format.md; which records it has is explained at Contents.ITL.
const ITLFileName = "ITLFile.tlv"

// SignerID names a certificate: that of the token that signed, or that of a record.
type SignerID struct {
	Subject string // RFC 4514
	Issuer  string // RFC 4514
	Serial  []byte // see SerialBytes
}

// Equal tells whether both name the same certificate, byte by byte as phones compare them.
func (id SignerID) Equal(other SignerID) bool {
	return id.Subject == other.Subject && id.Issuer == other.Issuer && string(id.Serial) == string(other.Serial)
}

// Header is the typed view of a list's header. It is read from the elements; changing it changes no file.
type Header struct {
	Version            Version
	Length             int     // bytes of the header, signature and padding included
	SignerVersion      Version // 0 where the element is absent
	Signer             SignerID
	Digest             Digest
	SignatureAlgorithm byte // 0: RSA
	Modulus            Modulus
	Signature          []byte
	FileName           string
	Timestamp          time.Time // UTC, whole seconds
}

const algorithmRSA = 0

// headerFields is the schema of ctl-format.md, "Header". All but the signer version and the padding are
// in every list.
var headerFields = schema[Header]{
	TagVersion:       {name: "version", required: true, read: readNumber(2, func(h *Header, n uint32) { h.Version = Version(n) })},
	TagHeaderLength:  {name: "header length", required: true, read: readNumber(2, func(h *Header, n uint32) { h.Length = int(n) })},
	TagSignerVersion: {name: "signer version", read: readNumber(2, func(h *Header, n uint32) { h.SignerVersion = Version(n) })},
	TagSignerID:      {name: "signer ID", required: true, inner: signerFields},
	TagSignatureInfo: {name: "signature info", required: true, inner: signatureFields},
	TagSignature:     {name: "signature", required: true, read: readBytes(func(h *Header) *[]byte { return &h.Signature })},
	TagFileName:      {name: "file name", required: true, read: readText(func(h *Header) *string { return &h.FileName })},
	TagTimestamp: {name: "timestamp", required: true, read: readNumber(4, func(h *Header, n uint32) {
		h.Timestamp = time.Unix(int64(n), 0).UTC()
	})},
	TagPadding: {name: "padding", bare: true},
}

var signerFields = schema[Header]{
	TagSignerName:   {name: "signer name", required: true, read: readText(func(h *Header) *string { return &h.Signer.Subject })},
	TagSignerIssuer: {name: "issuer name", required: true, read: readText(func(h *Header) *string { return &h.Signer.Issuer })},
	TagSignerSerial: {name: "serial number", required: true, read: readBytes(func(h *Header) *[]byte { return &h.Signer.Serial })},
}

var signatureFields = schema[Header]{
	TagDigestAlgorithm:        {name: "digest algorithm", required: true, read: readNumber(1, func(h *Header, n uint32) { h.Digest = Digest(n) })},
	TagSignatureAlgorithmInfo: {name: "signature algorithm info", required: true, inner: algorithmFields},
}

var algorithmFields = schema[Header]{
	TagSignatureAlgorithm: {name: "signature algorithm", required: true, read: readNumber(1, func(h *Header, n uint32) { h.SignatureAlgorithm = byte(n) })},
	TagSignatureModulus:   {name: "signature modulus", required: true, read: readNumber(1, func(h *Header, n uint32) { h.Modulus = Modulus(n) })},
}
