package text

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// Encoding is the name of a way to write text as bytes, as a dialect file has it.
type Encoding string

// The encodings: Unicode's, and the Windows code pages by their numbers. 932, 936, 949 and 950 have one or two bytes a
// character, the other pages one. Both UTF-16 forms have two bytes a unit; they are found by their byte-order mark only.
const (
	UTF8    Encoding = "utf-8"
	UTF16LE Encoding = "utf-16le"
	UTF16BE Encoding = "utf-16be"

	Windows874  Encoding = "windows-874"
	Windows932  Encoding = "windows-932"
	Windows936  Encoding = "windows-936"
	Windows949  Encoding = "windows-949"
	Windows950  Encoding = "windows-950"
	Windows1250 Encoding = "windows-1250"
	Windows1251 Encoding = "windows-1251"
	Windows1252 Encoding = "windows-1252"
	Windows1253 Encoding = "windows-1253"
	Windows1254 Encoding = "windows-1254"
	Windows1255 Encoding = "windows-1255"
	Windows1256 Encoding = "windows-1256"
	Windows1257 Encoding = "windows-1257"
	Windows1258 Encoding = "windows-1258"
)

// Encodings are all that can be named.
var Encodings = []Encoding{
	UTF8, Windows1252, UTF16LE, UTF16BE,
	Windows874, Windows932, Windows936, Windows949, Windows950,
	Windows1250, Windows1251, Windows1253, Windows1254, Windows1255, Windows1256, Windows1257, Windows1258,
}

// otherNames are what the double-byte pages are called besides their numbers.
var otherNames = map[string]Encoding{
	"shiftjis": Windows932, "sjis": Windows932, "gbk": Windows936, "gb2312": Windows936, "euckr": Windows949, "big5": Windows950,
}

// ParseEncoding finds an encoding by its name in any case, with or without hyphens; `cp932` and `shift-jis` are
// `windows-932`.
func ParseEncoding(name string) (Encoding, bool) {
	plain := func(name string) string {
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	}
	wanted := plain(name)
	if found, ok := otherNames[wanted]; ok {
		return found, true
	}
	if number, ok := strings.CutPrefix(wanted, "cp"); ok {
		wanted = "windows" + number
	}
	at := slices.IndexFunc(Encodings, func(e Encoding) bool { return plain(string(e)) == wanted })
	if at < 0 {
		return "", false
	}
	return Encodings[at], true
}

var singleByte = map[Encoding]*charmap.Charmap{
	Windows874: charmap.Windows874, Windows1250: charmap.Windows1250, Windows1251: charmap.Windows1251,
	Windows1252: charmap.Windows1252, Windows1253: charmap.Windows1253, Windows1254: charmap.Windows1254,
	Windows1255: charmap.Windows1255, Windows1256: charmap.Windows1256, Windows1257: charmap.Windows1257,
	Windows1258: charmap.Windows1258,
}

var doubleByte = map[Encoding]encoding.Encoding{
	Windows932: japanese.ShiftJIS, Windows936: simplifiedchinese.GBK, Windows949: korean.EUCKR,
	Windows950: traditionalchinese.Big5,
}

// decodeSingle reads a page of one byte a character.
func decodeSingle(name Encoding) decoder {
	page := singleByte[name]
	return func(raw []byte) (string, string) {
		raw = trimEnd(raw)
		if isASCII(raw) {
			return string(raw), ""
		}
		var out strings.Builder
		for i, b := range raw {
			r := page.DecodeByte(b)
			if b >= utf8.RuneSelf && isNothing(r) {
				return "", noMeaning(i, name)
			}
			out.WriteRune(r)
		}
		return out.String(), ""
	}
}

// isNothing knows what the decoders make of bytes that a page does not define.
func isNothing(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsControl(r) && r >= utf8.RuneSelf
}

func noMeaning(at int, name Encoding) string {
	return fmt.Sprintf("byte %d has no meaning in CP%s", at+1, strings.TrimPrefix(string(name), "windows-"))
}

// decodeDouble reads a page of one or two bytes a character.
func decodeDouble(name Encoding) decoder {
	return func(raw []byte) (string, string) {
		raw = trimEnd(raw)
		if isASCII(raw) {
			return string(raw), ""
		}
		out, err := doubleByte[name].NewDecoder().Bytes(raw)
		if err == nil && !slices.ContainsFunc([]rune(string(out)), isNothing) {
			return string(out), ""
		}
		for at := 0; at < len(raw); {
			size := unitOf(raw[at:], name)
			one, err := doubleByte[name].NewDecoder().Bytes(raw[at : at+size])
			if err != nil || slices.ContainsFunc([]rune(string(one)), isNothing) {
				return "", noMeaning(at, name)
			}
			at += size
		}
		return "", noMeaning(len(raw), name)
	}
}

// unitOf is the number of bytes of the first character.
func unitOf(raw []byte, name Encoding) int {
	size := 1
	switch {
	case name == UTF8:
		_, size = utf8.DecodeRune(raw)
	case name == UTF16LE || name == UTF16BE:
		high := raw[0]
		if name == UTF16LE && len(raw) > 1 {
			high = raw[1]
		}
		if size = 2; high&0xfc == 0xd8 {
			size = 4
		}
	case doubleByte[name] != nil && isLead(raw[0], name):
		size = 2
	}
	return min(size, len(raw))
}

// isLead tells the first of two bytes.
func isLead(b byte, name Encoding) bool {
	if name == Windows932 {
		return b >= 0x81 && b <= 0x9f || b >= 0xe0 && b <= 0xfc
	}
	return b >= 0x81 && b <= 0xfe
}

// Places tells, for every byte of the text of a line and for its end, where in the raw bytes of the line the character
// begins. Nil where the line has no text.
func (l Line) Places(encoding Encoding) []int {
	if l.Problem != "" {
		return nil
	}
	decode := decoderOf(encoding)
	var out []int
	at := 0
	for at < len(l.Raw) && len(out) < len(l.Text) {
		size := unitOf(l.Raw[at:], encoding)
		one, _ := decode(l.Raw[at : at+size])
		for range len(one) {
			out = append(out, at)
		}
		at += size
	}
	return append(out, at)
}
