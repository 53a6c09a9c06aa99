package ctl

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What names a certificate in a list: names, serial numbers, keys.

// The short names of RFC 4514, and the two that certificates of the manufacturer use beside them.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C",
	"2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
	"2.5.4.5": "SERIALNUMBER", "2.5.4.17": "POSTALCODE",
}

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type relativeNameSET []attribute // the suffix makes encoding/asn1 expect a SET

// NameString returns a DER name (Certificate.RawSubject, RawIssuer) as an RFC 4514 string, the last
// relative name first and a multi-valued one in its DER order: `CN=…,OU=…,O=…` for a certificate that was made
// in the usual order. It is read
// from the DER itself, since pkix.Name sorts anew, drops multiple values, and leaves a NUL unescaped,
// which ends a text of the list.
func NameString(der []byte) (string, error) {
	var sequence []relativeNameSET
	rest, err := asn1.Unmarshal(der, &sequence)
	if err != nil {
		return "", fmt.Errorf("name in a certificate: %w", err)
	}
	if len(rest) != 0 {
		return "", fmt.Errorf("name in a certificate: %d bytes follow it", len(rest))
	}
	names := make([]string, 0, len(sequence))
	for i := len(sequence) - 1; i >= 0; i-- {
		parts := make([]string, 0, len(sequence[i]))
		for _, one := range sequence[i] {
			parts = append(parts, one.String())
		}
		names = append(names, strings.Join(parts, "+"))
	}
	return strings.Join(names, ","), nil
}

// String returns `TYPE=value`; an attribute without a short name, or with a value that is no text, reads
// `1.2.3=#` and the DER of the value (RFC 4514, 2.4).
func (a attribute) String() string {
	name, known := attributeNames[a.Type.String()]
	text, isText := textOf(a.Value)
	if !known {
		name = a.Type.String()
	}
	if !known || !isText {
		return name + "=#" + hex.EncodeToString(a.Value.FullBytes)
	}
	return name + "=" + escapeName(text)
}

// textOf reads the string types that certificates use.
func textOf(value asn1.RawValue) (string, bool) {
	if value.Class != asn1.ClassUniversal {
		return "", false
	}
	switch value.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString:
		return string(value.Bytes), utf8.Valid(value.Bytes)
	case asn1.TagT61String: // read as Latin-1, as everyone does
		runes := make([]rune, len(value.Bytes))
		for i, char := range value.Bytes {
			runes[i] = rune(char)
		}
		return string(runes), true
	case asn1.TagBMPString:
		return textOfBMP(value.Bytes)
	}
	return "", false
}

func textOfBMP(raw []byte) (string, bool) {
	if len(raw)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	return string(utf16.Decode(units)), true
}

// escapeName escapes a value by RFC 4514, 2.4. Control characters are written as hex pairs, which the
// RFC asks for NUL only: a list is read on terminals.
func escapeName(text string) string {
	var escaped strings.Builder
	for i, char := range text {
		first, last := i == 0, i+utf8.RuneLen(char) == len(text)
		switch {
		case char < ' ' || char == 0x7F:
			fmt.Fprintf(&escaped, `\%02X`, char)
		case strings.ContainsRune(`,+"\<>;`, char), char == ' ' && (first || last), char == '#' && first:
			escaped.WriteByte('\\')
			escaped.WriteRune(char)
		default:
			escaped.WriteRune(char)
		}
	}
	return escaped.String()
}

// SerialBytes returns a certificate's serial number as a list carries it: the bytes of the DER INTEGER,
// without the leading zero that is there only to say that the number is not negative. So a positive
// serial number reads as every program prints it (8 bytes that begin with 83 are 8 bytes), zero is one
// zero byte, and a negative one, which old certificates have, is its two's complement.
func SerialBytes(certificate *x509.Certificate) []byte {
	content := serialContent(certificate)
	if len(content) > 1 && content[0] == 0 {
		return content[1:]
	}
	return content
}

func serialContent(certificate *x509.Certificate) []byte {
	der, err := asn1.Marshal(certificate.SerialNumber)
	var value asn1.RawValue
	if err == nil {
		_, err = asn1.Unmarshal(der, &value)
	}
	if err != nil { // only without a serial number, which no parsed certificate is
		return nil
	}
	return value.Bytes
}

// idOf returns what names a certificate in a list.
func idOf(certificate *x509.Certificate) (SignerID, error) {
	subject, err := NameString(certificate.RawSubject)
	if err != nil {
		return SignerID{}, err
	}
	issuer, err := NameString(certificate.RawIssuer)
	if err != nil {
		return SignerID{}, err
	}
	return SignerID{Subject: subject, Issuer: issuer, Serial: SerialBytes(certificate)}, nil
}

// publicKeyBytes returns a key as a record carries it.
func publicKeyBytes(certificate *x509.Certificate) ([]byte, error) {
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return x509.MarshalPKCS1PublicKey(key), nil
	case *ecdsa.PublicKey:
		return key.Bytes()
	}
	return nil, fmt.Errorf("a key of type %s: only RSA and EC have a place in a list", certificate.PublicKeyAlgorithm)
}

// sameName tells whether two strings write the same name. Other makers of lists separate with `;`, quote
// instead of escaping, write the short names in lower case, or begin at the other end; a list of theirs
// that phones already hold is not wrong for it.
func sameName(one, other string) bool {
	if one == other {
		return true
	}
	// Escaping makes a name at most three times as long. What is longer is another one, and a name of nothing but
	// separators would take many times its length to be taken apart.
	if short, long := min(len(one), len(other)), max(len(one), len(other)); long > 4*short+64 {
		return false
	}
	return slices.Equal(nameParts(one), nameParts(other))
}

// nameParts takes a name apart into `TYPE=value`, the values without escapes, quotes, and spaces around.
// They are sorted: the parts of a multi-valued name have no order.
func nameParts(name string) []string {
	var parts []string
	var part strings.Builder
	quotes := false
	finish := func() {
		kind, value, _ := strings.Cut(part.String(), "=")
		parts = append(parts, strings.ToUpper(strings.TrimSpace(kind))+"="+strings.TrimSpace(value))
		part.Reset()
	}
	for i := 0; i < len(name); i++ {
		switch char := name[i]; {
		case char == '\\' && i+1 < len(name):
			char, taken := unescape(name[i+1:])
			part.WriteByte(char)
			i += taken
		case char == '"':
			quotes = !quotes
		case !quotes && strings.IndexByte(",;+", char) >= 0:
			finish()
		default:
			part.WriteByte(char)
		}
	}
	finish()
	slices.Sort(parts)
	return parts
}

// unescape reads what follows a backslash, two hex digits or one byte, and says how much it took.
func unescape(rest string) (char byte, taken int) {
	if len(rest) >= 2 {
		if pair, err := hex.DecodeString(rest[:2]); err == nil {
			return pair[0], 2
		}
	}
	return rest[0], 1
}
