package certfile

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"strings"

	"capf/legacy"
	"capf/legacy/text"
)

// Nothing but certificates belongs in a certificate file. So the rule for base64 that stands there outside of any PEM
// block is stricter than that of package text, which reads all files: lines behind each other that hold nothing but
// base64, and together more of it than a word has, may be the middle of a private key of which BEGIN and END are
// elsewhere, and are withheld. Their place, size and SHA-256 are kept, as for every private key.
//
// What is shown to be something else stays: a whole certificate without its marks, lines with the END of another block
// right behind them, digits and hex digits (serial numbers, fingerprints), lines with anything else than base64 in them
// (names, paths, the printed form of a certificate). A part of a certificate without any mark is withheld: nothing tells
// it from a part of a key.

const (
	// wordLength is how many characters of base64 no word or number has, as in package text.
	wordLength = 20
	// mostDamage is how many other printable characters a damaged line of base64 may have. So that a path or an address
	// is not taken for one, it has digits and is as long as lines of PEM are, or nearly.
	mostDamage    = 2
	damagedLength = 40

	possibleKey = "may be a part of a private key: base64 outside of any block, not kept"
)

// withoutKeyText takes out of lines, which stand outside of any block, what may be parts of private keys.
func (r *reader) withoutKeyText(lines []text.Line) []text.Line {
	var out []text.Line
	for at := 0; at < len(lines); {
		end := fragmentEnd(lines, at)
		if end == at {
			out = append(out, lines[at])
			at++
			continue
		}
		keep := certificateLines(lines[at:end])
		if keep == 0 && (base64Length(lines[at:end]) < wordLength || end < len(lines) && adjoins(lines[end-1], lines[end]) && endsAnother(lines[end])) {
			keep = end - at
		}
		out = append(out, lines[at:at+keep]...)
		if at += keep; keep == 0 {
			r.withholdText(lines[at:end], possibleKey)
			at = end
		}
	}
	return out
}

// takeShortStart takes the lines off the end that belong to a key which begins without its BEGIN right behind them, and
// are too short to be known for key text by themselves.
func (b *blockReader) takeShortStart(key text.Line) {
	from := len(b.before)
	for next := key; from > 0 && adjoins(b.before[from-1], next) && isBase64Line(b.before[from-1]); from-- {
		next = b.before[from-1]
	}
	if start := b.before[from:]; len(start) > 0 {
		b.withholdText(start, text.KeyWithoutBeginning)
		b.before = b.before[:from]
	}
}

func (r *reader) withholdText(lines []text.Line, reason string) {
	first, last := lines[0], lines[len(lines)-1]
	raw := rawOf(lines)
	advice := legacy.KeyAdvice(r.options.IsIdentity)
	if reason == possibleKey {
		advice = legacy.PossibleKeyAdvice
	}
	r.find(first.Number, legacy.Warning, advice)
	r.file.Kept = append(r.file.Kept, legacy.Withhold(legacy.Position{File: r.name, Line: first.Number}, last.Number-first.Number+1,
		first.Offset, int64(len(raw)), sha256.Sum256(raw), reason))
}

// adjoins tells whether a line stands right behind another.
func adjoins(line, next text.Line) bool { return line.Offset+line.Size == next.Offset }

// fragmentEnd gives the end of the lines of base64 that begin at one; empty lines may be among them, not at their end.
func fragmentEnd(lines []text.Line, from int) int {
	end := from
	for at := from; at < len(lines); at++ {
		if at > from && !adjoins(lines[at-1], lines[at]) {
			break
		}
		if isBase64Line(lines[at]) {
			end = at + 1
		} else if at == from || len(bodyOf(lines[at])) > 0 {
			break
		}
	}
	return end
}

// bodyOf is a line without what base64 may have around it; NULs are taken out, so that UTF-16 is known too.
func bodyOf(line text.Line) []byte {
	return bytes.Trim(bytes.ReplaceAll(line.Raw, []byte{0}, nil), " \t\r\n=\x1a")
}

// isBase64Line tells whether a line has nothing in it but base64, and what damage makes of it.
func isBase64Line(line text.Line) bool {
	body := bodyOf(line)
	found, others, damaged := 0, 0, 0
	hex := len(bytes.Trim(body, "0123456789abcdef")) == 0 || len(bytes.Trim(body, "0123456789ABCDEF")) == 0
	for _, b := range body {
		switch {
		case isBase64(b):
			found++
		case b == ' ' || b == '\t' || b == '=':
			return false
		case b > ' ' && b < 0x7f:
			others++
		default:
			damaged++
		}
	}
	if others > 0 && (found < damagedLength || !bytes.ContainsAny(body, "0123456789")) {
		return false
	}
	return found > 0 && !hex && others <= mostDamage && damaged <= found/4
}

func isBase64(b byte) bool {
	return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '+' || b == '/'
}

func base64Length(lines []text.Line) (count int) {
	for _, line := range lines {
		for _, b := range bodyOf(line) {
			if isBase64(b) {
				count++
			}
		}
	}
	return count
}

// endsAnother tells the END of a block that is no private key.
func endsAnother(line text.Line) bool {
	label, ends := blockMark(line.Text, "-----END ")
	return ends && !strings.Contains(strings.ToUpper(label), "PRIVATE KEY")
}

// certificateLines counts the lines that a whole certificate takes up which begins with the first of them; 0: none does.
func certificateLines(lines []text.Line) int {
	var encoded []byte
	for _, line := range lines {
		encoded = append(encoded, bodyOf(line)...)
	}
	der := make([]byte, base64.RawStdEncoding.DecodedLen(len(encoded)))
	n, _ := base64.RawStdEncoding.Decode(der, encoded)
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(der[:n], &value)
	if err != nil {
		return 0
	}
	whole := der[:n-len(rest)]
	if _, err := x509.ParseCertificate(whole); err != nil {
		return 0
	}
	count, left := 0, base64.RawStdEncoding.EncodedLen(len(whole))
	for ; count < len(lines) && left > 0; count++ {
		left -= len(bodyOf(lines[count]))
	}
	return count
}
