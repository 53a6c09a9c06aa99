package certfile

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"capf/legacy"
	"capf/legacy/text"
)

// isSequence tells whether bytes may be DER of a certificate or a key: a sequence (0x30, in text the digit 0) with a
// length of more than 127 (a byte that is not ASCII).
func isSequence(content []byte) bool {
	return len(content) > 1 && content[0] == 0x30 && content[1] >= 0x80
}

// der reads a file that begins with DER: one certificate, or several behind each other, and PEM behind those.
func (r *reader) der(content []byte) error {
	if !r.options.IsCAPFCer {
		r.find(0, legacy.Note, "is DER, though the name says PEM")
	}
	offset := 0
	for rest := content; len(rest) > 0; rest = content[offset:] {
		var value asn1.RawValue
		after, err := asn1.Unmarshal(rest, &value)
		whole := err == nil && isSequence(rest)
		if !whole && offset > 0 && bytes.Contains(rest, []byte("-----BEGIN ")) {
			return r.blocks(content, offset)
		}
		if !whole {
			r.keepRest(rest, offset, "is not a whole DER certificate")
			return nil
		}
		part := rest[:len(rest)-len(after)]
		parsed, err := x509.ParseCertificate(part)
		switch {
		case err == nil:
			r.add(0, parsed, nil)
		case isPrivateKey(part):
			r.withhold(part, offset)
		default:
			r.keepRest(part, offset, fmt.Sprintf("does not parse as a certificate: %v", err))
		}
		offset += len(part)
	}
	return nil
}

// keepRest keeps bytes aside line by line, so that private key text among them is found.
func (r *reader) keepRest(rest []byte, offset int, reason string) {
	if isPrivateKey(rest) {
		r.withhold(rest, offset)
		return
	}
	if at := keyInside(rest); at >= 0 {
		r.withhold(rest[at:], offset+at)
		rest = rest[:at]
	}
	encoding, _ := text.MarkOf(rest)
	if encoding == "" {
		encoding = text.Windows1252
	}
	var lines []text.Line
	// Bytes in memory do not fail to be read, and the encoding is the one their mark tells.
	for line, err := range text.Lines(legacy.BytesInput(r.name, rest), encoding) {
		if err != nil {
			return
		}
		line.Offset += int64(offset)
		line.Number = 0
		if line.PrivateKey {
			r.keep(line, reason)
		} else {
			lines = append(lines, line)
		}
	}
	for _, line := range r.withoutKeyText(lines) {
		r.keep(line, reason)
	}
}

func (r *reader) keep(line text.Line, reason string) {
	if line.PrivateKey {
		r.findKey(line.Number)
	}
	r.file.Kept = append(r.file.Kept, line.Kept(r.name, reason))
}

func (r *reader) withhold(content []byte, offset int) {
	r.findKey(0)
	r.file.Kept = append(r.file.Kept, legacy.Withhold(legacy.Position{File: r.name}, 1,
		int64(offset), int64(len(content)), sha256.Sum256(content), "private key in DER, not kept"))
}

// isPrivateKey tells whether DER is, or may be the beginning of, a private key: PKCS #1, PKCS #8, SEC 1 and PKCS #12
// begin with a version number where a certificate has a sequence; an encrypted PKCS #8 begins with an algorithm whose
// object identifier stands where a certificate has its version or serial number. A public key begins like one of them
// too, and is known only when it is whole.
func isPrivateKey(der []byte) bool {
	if len(der) == 0 || der[0] != 0x30 || isPublicKey(der) {
		return false
	}
	inner := afterHeader(der)
	if len(inner) == 0 {
		return false
	}
	const integer, sequence, object = 0x02, 0x30, 0x06
	if inner[0] == integer {
		return true
	}
	innermost := afterHeader(inner)
	return inner[0] == sequence && len(innermost) > 0 && innermost[0] == object
}

// isPublicKey tells whether DER is a public key and nothing else: an algorithm and a bit string (SubjectPublicKeyInfo),
// or two numbers (PKCS #1). An encrypted PKCS #8 has an octet string there; no private key is two numbers alone.
func isPublicKey(der []byte) bool {
	var whole, first, second asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &whole); err != nil || len(rest) > 0 {
		return false
	}
	rest, err := asn1.Unmarshal(whole.Bytes, &first)
	if err != nil {
		return false
	}
	if rest, err = asn1.Unmarshal(rest, &second); err != nil || len(rest) > 0 {
		return false
	}
	return first.Tag == asn1.TagSequence && second.Tag == asn1.TagBitString ||
		first.Tag == asn1.TagInteger && second.Tag == asn1.TagInteger
}

// keyInside finds where a private key in DER begins behind bytes that are something else, or gives -1. Text has no such
// bytes, nor has a certificate a version number before a number, an octet string or an algorithm.
func keyInside(content []byte) int {
	for at := range content {
		if beginsKey(content[at:]) {
			return at
		}
	}
	return -1
}

// beginsKey knows PKCS #1, PKCS #8 and SEC 1 by their version and what is behind it, and an encrypted PKCS #8 by its
// algorithm, which is one of those that encrypt by a password. Keys of elliptic curves are short: their length may have
// any form.
func beginsKey(der []byte) bool {
	const integer, octets, sequence = 0x02, 0x04, 0x30
	if len(der) == 0 || der[0] != sequence {
		return false
	}
	inner := afterHeader(der)
	if bytes.HasPrefix(afterHeader(inner), byPassword) && inner[0] == sequence {
		return true
	}
	if len(inner) < 5 || inner[0] != integer || inner[1] != 1 || inner[2] > 1 {
		return false
	}
	switch inner[3] {
	case integer:
		return inner[4] >= 0x20
	case octets:
		return inner[2] == 1 && inner[4] >= 0x10
	case sequence:
		algorithm := afterHeader(inner[3:])
		return len(algorithm) > 0 && algorithm[0] == 0x06
	}
	return false
}

// byPassword is how the algorithms of PKCS #5 begin, 1.2.840.113549.1.5 and one number more.
var byPassword = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05}

// untilKey gives what stands before a private key in DER, and the length of the key: all the rest where it is torn; 0
// where there is none.
func untilKey(content []byte) (before []byte, key int) {
	at := keyInside(content)
	if at < 0 {
		return content, 0
	}
	var value asn1.RawValue
	if _, err := asn1.Unmarshal(content[at:], &value); err != nil {
		return content[:at], len(content) - at
	}
	return content[:at], len(value.FullBytes)
}

// afterHeader takes tag and length off, however long the content really is.
func afterHeader(der []byte) []byte {
	switch {
	case len(der) < 2:
		return nil
	case der[1] < 0x80:
		return der[2:]
	default:
		return der[min(len(der), 2+int(der[1]&0x7f)):]
	}
}
