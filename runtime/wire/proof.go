package wire

import (
	"encoding/binary"
	"fmt"
)

// SHA2SignedData is what the SHA-2 signed data hold: hash algorithm (1 byte), length (2), signature. [P]
type SHA2SignedData struct {
	Hash      HashAlgorithm
	Signature Secret
}

// DecodeSHA2SignedData reads the SHA-2 signed data of an authentication response. It is a step of its own,
// so that a phone that authenticates in another way does not fail by a proof that nobody reads.
func DecodeSHA2SignedData(data Secret) (SHA2SignedData, error) {
	hash, signature, rest, err := cutRecord(TagSHA2SignedData, data.Reveal())
	if err != nil {
		return SHA2SignedData{}, err
	}
	if len(rest) > 0 {
		return SHA2SignedData{}, malformedProof(TagSHA2SignedData, "%d bytes after the signature", len(rest))
	}
	return SHA2SignedData{Hash: HashAlgorithm(hash), Signature: NewSecret(signature)}, nil
}

// Encode is the value of the element.
func (d SHA2SignedData) Encode() Secret {
	return NewSecret(appendElement(nil, byte(d.Hash), d.Signature.Reveal()))
}

// The kinds of records in SUDI data. [P]
const (
	sudiCertificate = 0
	sudiSHA1        = 1
	sudiSHA512      = 3
)

// SUDIData is what the SUDI data hold: three records of kind (1 byte), length (2) and value. The two
// signatures are over the session ID as four little-endian bytes and the certificate. [P]
type SUDIData struct {
	Certificate []byte // DER of the secure unique device identifier, not parsed
	SHA1        Secret
	SHA512      Secret
}

// DecodeSUDIData reads the SUDI data of an authentication response: each of the three records once, in any
// order, and nothing else.
func DecodeSUDIData(data Secret) (SUDIData, error) {
	records := map[byte][]byte{}
	for rest := data.Reveal(); len(rest) > 0; {
		kind, value, after, err := cutRecord(TagSUDIData, rest)
		if err != nil {
			return SUDIData{}, err
		}
		if _, twice := records[kind]; twice {
			return SUDIData{}, malformedProof(TagSUDIData, "record %d came twice", kind)
		}
		if kind != sudiCertificate && kind != sudiSHA1 && kind != sudiSHA512 {
			return SUDIData{}, malformedProof(TagSUDIData, "record %d is not known", kind)
		}
		records[kind], rest = value, after
	}
	if len(records) != 3 {
		return SUDIData{}, malformedProof(TagSUDIData, "%d records, not 3", len(records))
	}
	return SUDIData{Certificate: records[sudiCertificate], SHA1: NewSecret(records[sudiSHA1]),
		SHA512: NewSecret(records[sudiSHA512])}, nil
}

// Encode is the value of the element.
func (d SUDIData) Encode() Secret {
	b := appendElement(nil, sudiCertificate, d.Certificate)
	b = appendElement(b, sudiSHA1, d.SHA1.Reveal())
	return NewSecret(appendElement(b, sudiSHA512, d.SHA512.Reveal()))
}

// cutRecord reads one record of kind, length and value, and gives what follows it.
func cutRecord(tag Tag, b []byte) (kind byte, value, rest []byte, err error) {
	if len(b) < elementHeader {
		return 0, nil, nil, malformedProof(tag, "record without its length")
	}
	kind, length, rest := b[0], int(binary.BigEndian.Uint16(b[1:elementHeader])), b[elementHeader:]
	if length > len(rest) {
		return 0, nil, nil, malformedProof(tag, "record of %d bytes where %d are left", length, len(rest))
	}
	return kind, rest[:length], rest[length:], nil
}

// malformedProof is a proof of possession that cannot be read.
func malformedProof(tag Tag, format string, arguments ...any) error {
	return &MalformedError{Command: CommandAuthenticationResponse, Tag: tag,
		Problem: fmt.Sprintf(format, arguments...)}
}
