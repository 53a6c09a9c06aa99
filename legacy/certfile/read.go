package certfile

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"strings"

	"capf/legacy"
	"capf/legacy/text"
)

// reader gathers what one file holds. Only certificates are given: of all other bytes, which may be those of a key that
// nobody can tell, there are place, size and digest.
type reader struct {
	file    *File
	name    string
	options Options

	offset int         // where the text begins, behind DER
	lines  []text.Line // of the block that is open, else those since the last one
	label  string      // of the block that is open; empty: none is
}

func (r *reader) read(content []byte) error {
	switch {
	case len(content) > MaxFile:
		r.file.Findings.Warn(r.at(0), fmt.Sprintf("larger than %d bytes: not read as certificates", MaxFile))
		return nil
	case len(content) == 0:
		r.file.Findings.Warn(r.at(0), "is empty")
		return nil
	case isSequence(content) && !r.options.IsCAPFCer:
		r.file.Findings.Note(r.at(0), "is DER, though the name says PEM")
	case !isSequence(content) && r.options.IsCAPFCer:
		r.file.Findings.Note(r.at(0), "is not DER, though it is named CAPF.cer")
	}
	r.offset = r.readDER(content)
	if err := r.readText(content[r.offset:]); err != nil {
		return err
	}
	if len(r.file.Certificates) == 0 {
		r.file.Findings.Warn(r.at(0), "holds no certificate that can be read")
	}
	return nil
}

// isSequence tells whether bytes may be DER of a certificate or a key: a sequence (0x30, in text the digit 0) with a
// length of more than 127 (a byte that is not ASCII).
func isSequence(content []byte) bool {
	return len(content) > 1 && content[0] == 0x30 && content[1] >= 0x80
}

// readDER reads what is DER at the beginning of a file: certificates, and what is none, behind each other. It gives
// where that ends.
func (r *reader) readDER(content []byte) (offset int) {
	for {
		var value asn1.RawValue
		if _, err := asn1.Unmarshal(content[offset:], &value); err != nil {
			return offset
		}
		part := value.FullBytes
		place := text.Line{Count: 1, Offset: int64(offset), Size: int64(len(part)), SHA256: sha256.Sum256(part)}
		parsed, err := x509.ParseCertificate(part)
		switch {
		case err == nil:
			r.add(0, parsed)
		case IsPrivateKey(part):
			r.withholdKey(place, "private key in DER, not kept")
		case isSequence(part):
			r.withhold(place, fmt.Sprintf("does not parse as a certificate: %v", err))
		default:
			return offset // text can look like a value too
		}
		offset += len(part)
	}
}

// readText goes through the lines of what is not DER. encoding/pem is not used: it says nothing about what it skips,
// and here nothing is to be lost.
func (r *reader) readText(content []byte) error {
	encoding, _ := text.MarkOf(content)
	if encoding == "" {
		encoding = text.Windows1252
	}
	for line, err := range text.Lines(legacy.BytesInput(r.name, content), encoding) {
		if err != nil {
			return err
		}
		if line.Offset += int64(r.offset); r.offset > 0 {
			line.Number = 0 // behind DER there is no telling
		}
		r.take(line)
	}
	r.leave()
	return nil
}

func (r *reader) take(line text.Line) {
	label, begins := blockMark(line.Text, "-----BEGIN ")
	if begins || line.PrivateKey {
		r.leave()
	}
	switch {
	case line.PrivateKey:
		r.withholdKey(line, line.Problem)
	case begins:
		r.lines, r.label = []text.Line{line}, label
	default:
		r.lines = append(r.lines, line)
		if end, ends := blockMark(line.Text, "-----END "); ends && r.label != "" {
			r.finish(end)
		}
	}
}

func blockMark(line, mark string) (label string, ok bool) {
	_, after, ok := strings.Cut(line, mark)
	label, _, closed := strings.Cut(after, "-----")
	return strings.TrimSpace(label), ok && closed
}

// leave withholds the lines that are in no certificate.
func (r *reader) leave() {
	switch {
	case r.label != "":
		r.withholdLines("PEM block without an end")
	case isSequence(rawOf(r.lines)):
		r.withholdLines("is not a whole DER certificate")
	default:
		r.withholdLines("text outside of any certificate, not kept")
	}
}

// finish reads a block that is whole.
func (r *reader) finish(end string) {
	defer func() { r.lines, r.label = nil, "" }()
	der, body := r.decode()
	var value asn1.RawValue
	_, err := asn1.Unmarshal(der, &value)
	parsed, failed := x509.ParseCertificate(value.FullBytes)
	switch {
	case IsPrivateKey(der):
		r.withholdKey(r.joined(), "private key under another label, not kept")
	case r.label != "CERTIFICATE" && r.label != "X509 CERTIFICATE" && r.label != "TRUSTED CERTIFICATE":
		r.withholdLines("PEM block is no certificate")
	case end != r.label:
		r.withholdLines("PEM block ends as another than it begins")
	case err != nil:
		r.withholdLines("PEM block is not DER in base64")
	case failed != nil:
		r.withholdLines(fmt.Sprintf("does not parse as a certificate: %v", failed))
	default:
		r.add(r.lines[0].Number, parsed)
		// A trusted certificate of openssl has its settings behind the certificate.
		alone := "-----BEGIN " + r.label + "-----" + base64.StdEncoding.EncodeToString(parsed.Raw) + "-----END " + r.label + "-----"
		if body != strings.ReplaceAll(alone, " ", "") {
			r.withholdLines("has more than a certificate in its PEM block")
		}
	}
}

// decode gives what the base64 of the block says, up to its first fault, and the whole block without white space.
func (r *reader) decode() (der []byte, body string) {
	encoded := ""
	for i, line := range r.lines {
		packed := strings.Join(strings.Fields(line.Text), "")
		if body += packed; i > 0 && i < len(r.lines)-1 {
			encoded += packed
		}
		if line.Problem != "" {
			body += "?"
		}
	}
	der = make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	// A fault shows in what comes out: it is not whole DER.
	n, _ := base64.StdEncoding.Decode(der, []byte(encoded))
	return der[:n], body
}

// IsPrivateKey tells whether DER is a private key: PKCS #1, PKCS #8, SEC 1 and PKCS #12 begin with a version and go on,
// where a public key has two values at most; an encrypted PKCS #8 is an algorithm and an octet string.
func IsPrivateKey(der []byte) bool {
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &parts); err != nil || len(parts) < 2 {
		return false
	}
	first, second := parts[0].Tag, parts[1].Tag
	return first == asn1.TagInteger && len(parts) > 2 || first == asn1.TagSequence && len(parts) == 2 && second == asn1.TagOctetString
}

// withholdLines withholds the lines that are gathered, but for empty ones around them.
func (r *reader) withholdLines(reason string) {
	isEmpty := func(line text.Line) bool { return line.Problem == "" && strings.TrimSpace(line.Text) == "" }
	for len(r.lines) > 0 && isEmpty(r.lines[0]) {
		r.lines = r.lines[1:]
	}
	for len(r.lines) > 0 && isEmpty(r.lines[len(r.lines)-1]) {
		r.lines = r.lines[:len(r.lines)-1]
	}
	if len(r.lines) > 0 {
		r.withhold(r.joined(), reason)
	}
	r.lines, r.label = nil, ""
}

// joined is the place and the digest of the lines that are gathered.
func (r *reader) joined() text.Line {
	raw, out := rawOf(r.lines), r.lines[0]
	out.Count, out.Size, out.SHA256 = len(r.lines), int64(len(raw)), sha256.Sum256(raw)
	return out
}

func (r *reader) withholdKey(place text.Line, reason string) {
	r.file.Findings.Warn(r.at(place.Number), legacy.KeyAdvice(r.options.IsIdentity))
	r.file.Kept = append(r.file.Kept, legacy.WithholdKey(r.at(place.Number), place.Count, place.Offset, place.Size, place.SHA256, reason))
}

func (r *reader) withhold(place text.Line, reason string) {
	r.file.Kept = append(r.file.Kept, legacy.Withhold(r.at(place.Number), place.Count, place.Offset, place.Size, place.SHA256, reason))
}

func rawOf(lines []text.Line) []byte {
	var out bytes.Buffer
	for _, line := range lines {
		out.Write(line.Raw)
	}
	return out.Bytes()
}
