package certfile

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"strings"

	"capf/legacy"
	"capf/legacy/text"
)

// blockReader goes through the lines of a file that is text. encoding/pem is not used: it says nothing about what it
// skips, and here nothing is to be lost.
type blockReader struct {
	*reader
	before []text.Line // outside of any block, since the last one
	block  []text.Line // the one that is open
	label  string
}

func (r *reader) pem(content []byte) error {
	if r.options.IsCAPFCer {
		r.find(0, legacy.Note, "is not DER, though it is named CAPF.cer")
	}
	return r.blocks(content, 0)
}

// blocks reads what is text from the offset on: PEM, with keys in DER between.
func (r *reader) blocks(content []byte, offset int) error {
	encoding, _ := text.MarkOf(content[offset:])
	if encoding == "" {
		encoding = text.Windows1252
	}
	blocks := &blockReader{reader: r}
	for offset < len(content) {
		part, key := untilKey(content[offset:])
		if err := blocks.part(part, offset, encoding); err != nil {
			return err
		}
		offset += len(part)
		if key > 0 {
			r.withhold(content[offset:offset+key], offset)
			offset += key
		}
	}
	blocks.keepText()
	return nil
}

// part goes through the lines that begin at the offset. Behind a key in DER there is no telling their numbers.
func (b *blockReader) part(content []byte, offset int, encoding text.Encoding) error {
	for line, err := range text.Lines(legacy.BytesInput(b.name, content), encoding) {
		if err != nil {
			return err
		}
		if offset > 0 {
			line.Offset += int64(offset)
			line.Number = 0
		}
		b.line(line)
	}
	b.torn()
	return nil
}

func (b *blockReader) line(line text.Line) {
	label, begins := blockMark(line.Text, "-----BEGIN ")
	switch {
	case line.PrivateKey:
		if b.block == nil && line.Problem == text.KeyWithoutBeginning {
			b.takeShortStart(line)
		}
		b.torn()
		b.keep(line, "")
	case begins:
		b.torn()
		b.block, b.label = []text.Line{line}, label
	case b.block == nil:
		b.before = append(b.before, line)
	default:
		b.block = append(b.block, line)
		if end, ends := blockMark(line.Text, "-----END "); ends {
			b.finish(end)
		}
	}
}

func blockMark(line, mark string) (label string, ok bool) {
	_, after, ok := strings.Cut(line, mark)
	label, _, closed := strings.Cut(after, "-----")
	return strings.TrimSpace(label), ok && closed
}

// torn keeps a block aside that has no end.
func (b *blockReader) torn() {
	if b.block != nil {
		b.refuse("PEM block without an end", b.decode())
	}
}

// finish reads a block that is whole.
func (b *blockReader) finish(end string) {
	der := b.decode()
	switch b.label {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
	default:
		b.refuse("PEM block is no certificate", der)
		return
	}
	if end != b.label {
		b.refuse("PEM block ends as another than it begins", der)
		return
	}
	// A trusted certificate of openssl has its settings behind the certificate.
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(der, &value)
	if err != nil {
		b.refuse("PEM block is not DER in base64", der)
		return
	}
	parsed, err := x509.ParseCertificate(der[:len(der)-len(rest)])
	if err != nil {
		b.refuse(fmt.Sprintf("does not parse as a certificate: %v", err), der)
		return
	}
	line := b.block[0].Number
	b.add(line, parsed, rawOf(b.withoutKeyText(b.before)))
	b.keepBeside(parsed.Raw, rest)
	b.before, b.block = nil, nil
}

// decode gives what the base64 of the block says, up to its first fault.
func (b *blockReader) decode() []byte {
	var body strings.Builder
	for _, line := range b.block[1:] {
		if strings.Contains(line.Text, "-----END ") {
			break
		}
		body.WriteString(strings.Join(strings.Fields(line.Text), ""))
	}
	encoded := body.String()
	out := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	// A fault shows in what comes out: it is not whole DER.
	n, _ := base64.StdEncoding.Decode(out, []byte(encoded))
	return out[:n]
}

// keepBeside keeps aside what the block of a certificate holds besides: all of its lines where more DER is behind the
// certificate, else those that are neither its marks nor its base64. Of these, parts of private keys are withheld.
func (b *blockReader) keepBeside(der, rest []byte) {
	const reason = "has more than a certificate in its PEM block"
	var value asn1.RawValue
	if after, err := asn1.Unmarshal(rest, &value); err == nil && len(after) == 0 {
		b.refuse(reason, rest)
		return
	}
	for _, line := range b.withoutKeyText(b.others(base64.StdEncoding.EncodeToString(der))) {
		b.keep(line, reason)
	}
}

// others gives the lines of the block that are neither its marks alone nor the next of the base64.
func (b *blockReader) others(encoded string) (out []text.Line) {
	last := len(b.block) - 1
	for i, line := range b.block {
		rest, found := encoded, false
		content := strings.Join(strings.Fields(line.Text), "")
		switch i {
		case 0:
			found = strings.TrimSpace(line.Text) == "-----BEGIN "+b.label+"-----"
		case last:
			found = strings.TrimSpace(line.Text) == "-----END "+b.label+"-----"
		default:
			rest, found = strings.CutPrefix(encoded, content)
		}
		if encoded = rest; !found || line.Problem != "" {
			out = append(out, line)
		}
	}
	return out
}

// refuse keeps the lines of the block aside, or withholds them if a private key is under the wrong label.
func (b *blockReader) refuse(reason string, der []byte) {
	if isPrivateKey(der) {
		b.withholdBlock()
	} else {
		for _, line := range b.block {
			b.keep(line, reason)
		}
	}
	b.block = nil
}

func (b *blockReader) withholdBlock() {
	first, last := b.block[0], b.block[len(b.block)-1]
	raw := rawOf(b.block)
	count := last.Number - first.Number + 1
	b.findKey(first.Number)
	b.file.Kept = append(b.file.Kept, legacy.Withhold(legacy.Position{File: b.name, Line: first.Number}, count,
		first.Offset, int64(len(raw)), sha256.Sum256(raw), "private key under another label, not kept"))
}

// keepText keeps the text aside that stands before no certificate.
func (b *blockReader) keepText() {
	reason := "no certificate in the file"
	if len(b.file.Certificates) > 0 {
		reason = "text after the last certificate"
	}
	for _, line := range b.withoutKeyText(b.before) {
		if line.Problem != "" || strings.TrimSpace(line.Text) != "" {
			b.keep(line, reason)
		}
	}
	if len(b.file.Certificates) == 0 {
		b.find(0, legacy.Warning, "holds no certificate that can be read")
	}
}

func rawOf(lines []text.Line) []byte {
	var out []byte
	for _, line := range lines {
		out = append(out, line.Raw...)
	}
	return out
}
