package ctl

import (
	"encoding/binary"
	"time"
)

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
	TagVersion: {name: "version", required: true, read: func(h *Header, e Element, name string) error {
		return readVersion(&h.Version, e, name)
	}},
	TagHeaderLength: {name: "header length", required: true, read: func(h *Header, e Element, name string) error {
		length, err := unsigned(e, 2, name)
		h.Length = int(length)
		return err
	}},
	TagSignerVersion: {name: "signer version", read: func(h *Header, e Element, name string) error {
		return readVersion(&h.SignerVersion, e, name)
	}},
	TagSignerID:      {name: "signer ID", required: true, inner: signerFields},
	TagSignatureInfo: {name: "signature info", required: true, inner: signatureFields},
	TagSignature: {name: "signature", required: true, read: func(h *Header, e Element, _ string) error {
		h.Signature = e.Value
		return nil
	}},
	TagFileName: {name: "file name", required: true, read: func(h *Header, e Element, name string) error {
		return readText(&h.FileName, e, name)
	}},
	TagTimestamp: {name: "timestamp", required: true, read: func(h *Header, e Element, name string) error {
		seconds, err := unsigned(e, 4, name)
		h.Timestamp = time.Unix(int64(seconds), 0).UTC()
		return err
	}},
	TagPadding: {name: "padding", bare: true},
}

var signerFields = schema[Header]{
	TagSignerName: {name: "signer name", required: true, read: func(h *Header, e Element, name string) error {
		return readText(&h.Signer.Subject, e, name)
	}},
	TagSignerIssuer: {name: "issuer name", required: true, read: func(h *Header, e Element, name string) error {
		return readText(&h.Signer.Issuer, e, name)
	}},
	TagSignerSerial: {name: "serial number", required: true, read: func(h *Header, e Element, _ string) error {
		h.Signer.Serial = e.Value
		return nil
	}},
}

var signatureFields = schema[Header]{
	TagDigestAlgorithm: {name: "digest algorithm", required: true, read: func(h *Header, e Element, name string) error {
		number, err := unsigned(e, 1, name)
		h.Digest = Digest(number)
		return err
	}},
	TagSignatureAlgorithmInfo: {name: "signature algorithm info", required: true, inner: algorithmFields},
}

var algorithmFields = schema[Header]{
	TagSignatureAlgorithm: {name: "signature algorithm", required: true, read: func(h *Header, e Element, name string) error {
		number, err := unsigned(e, 1, name)
		h.SignatureAlgorithm = byte(number)
		return err
	}},
	TagSignatureModulus: {name: "signature modulus", required: true, read: func(h *Header, e Element, name string) error {
		number, err := unsigned(e, 1, name)
		h.Modulus = Modulus(number)
		return err
	}},
}

// unsigned reads a big-endian number of exactly that many bytes, at most 4.
func unsigned(element Element, size int, name string) (uint32, error) {
	if len(element.Value) != size {
		return 0, faultAt(element.Position, name, "length %d instead of %d", len(element.Value), size)
	}
	var wide [4]byte
	copy(wide[4-size:], element.Value)
	return binary.BigEndian.Uint32(wide[:]), nil
}

func readVersion(into *Version, element Element, name string) error {
	number, err := unsigned(element, 2, name)
	*into = Version(number)
	return err
}

// readText reads a text, which ends in one NUL and has no other.
func readText(into *string, element Element, name string) error {
	last := len(element.Value) - 1
	for i, char := range element.Value {
		if char == 0 && i != last {
			return faultAt(element.Position, name, "a NUL within the text, %d bytes before its end", last-i)
		}
	}
	if last < 0 || element.Value[last] != 0 {
		return faultAt(element.Position, name, "the text does not end in a NUL")
	}
	*into = string(element.Value[:last])
	return nil
}
