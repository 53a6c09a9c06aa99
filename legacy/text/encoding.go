package text

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"capf/legacy"
)

// Encoding is the name of a way to write text as bytes, as a dialect file has it.
type Encoding string

// The encodings. Both UTF-16 forms have two bytes a unit; they are found by their byte-order mark only.
const (
	UTF8        Encoding = "utf-8"
	Windows1252 Encoding = "windows-1252"
	UTF16LE     Encoding = "utf-16le"
	UTF16BE     Encoding = "utf-16be"
)

// Encodings are all that can be named.
var Encodings = []Encoding{UTF8, Windows1252, UTF16LE, UTF16BE}

var marks = []struct {
	encoding Encoding
	bytes    []byte
}{
	{UTF8, []byte{0xef, 0xbb, 0xbf}},
	{UTF16LE, []byte{0xff, 0xfe}},
	{UTF16BE, []byte{0xfe, 0xff}},
}

// MarkOf gives the encoding that a byte-order mark at the start tells, and the length of the mark.
func MarkOf(start []byte) (Encoding, int) {
	for _, mark := range marks {
		if bytes.HasPrefix(start, mark.bytes) {
			return mark.encoding, len(mark.bytes)
		}
	}
	return "", 0
}

// Detect finds the encoding of a file by reading it through: by its byte-order mark; else UTF-8 where nine in ten of
// the lines that are not plain ASCII are valid UTF-8, CP1252 where nine in ten are not. Otherwise, and for what looks
// like UTF-16 without a mark, it is an error that asks for a dialect which names the encoding.
func Detect(input legacy.Input) (Encoding, error) {
	file, err := input.Open()
	if err != nil {
		return "", err
	}
	defer file.Close()
	physical := newPhysical(input.File, file, "")
	if found := physical.marked; found != "" {
		return found, nil
	}
	if looksWide(physical.sample()) {
		return "", fmt.Errorf("%s: looks like UTF-16 without a byte-order mark: name its encoding in a dialect file",
			input.File)
	}
	return countEncodings(physical, input.File)
}

func countEncodings(physical *physical, file string) (Encoding, error) {
	valid, invalid, firstInvalid := 0, 0, 0
	for {
		line, ok, err := physical.next()
		if err != nil {
			return "", err
		}
		if !ok {
			break
		}
		switch {
		case isASCII(line.raw) || line.overlong:
		case utf8.Valid(line.raw):
			valid++
		default:
			if invalid++; invalid == 1 {
				firstInvalid = line.number
			}
		}
	}
	switch all := valid + invalid; {
	case valid*10 >= all*9:
		return UTF8, nil
	case invalid*10 >= all*9:
		return Windows1252, nil
	default:
		return "", fmt.Errorf("%s:%d: encoding is not clear: %d lines are UTF-8, %d are not: "+
			"name it in a dialect file", file, firstInvalid, valid, invalid)
	}
}

func isASCII(raw []byte) bool {
	for _, b := range raw {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// looksWide tells whether every other byte of the start is NUL, as in Latin text in UTF-16.
func looksWide(sample []byte) bool {
	sample = sample[:min(len(sample), 1024)]
	var nuls [2]int
	for i, b := range sample {
		if b == 0 {
			nuls[i%2]++
		}
	}
	return len(sample) >= 8 && max(nuls[0], nuls[1])*10 >= len(sample)*4 && min(nuls[0], nuls[1])*20 < len(sample)
}

// decoder gives the text of a line without its end, or why there is none.
type decoder func(raw []byte) (text, problem string)

func decoderOf(encoding Encoding) decoder {
	switch encoding {
	case Windows1252:
		return decode1252
	case UTF16LE:
		return func(raw []byte) (string, string) { return decodeWide(raw, 0) }
	case UTF16BE:
		return func(raw []byte) (string, string) { return decodeWide(raw, 1) }
	default:
		return decodeUTF8
	}
}

func decodeUTF8(raw []byte) (string, string) {
	raw = trimEnd(raw)
	if isASCII(raw) || utf8.Valid(raw) {
		return string(raw), ""
	}
	at := 0
	for at < len(raw) {
		r, size := utf8.DecodeRune(raw[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return "", fmt.Sprintf("byte %d is not UTF-8", at+1)
}

func decode1252(raw []byte) (string, string) {
	raw = trimEnd(raw)
	if isASCII(raw) {
		return string(raw), ""
	}
	var out strings.Builder
	for i, b := range raw {
		r := charmap.Windows1252.DecodeByte(b)
		// Five bytes are undefined in CP1252.
		if r == unicode.ReplacementChar || b >= 0x80 && unicode.IsControl(r) {
			return "", fmt.Sprintf("byte %d has no meaning in CP1252", i+1)
		}
		out.WriteRune(r)
	}
	return out.String(), ""
}

func decodeWide(raw []byte, low int) (string, string) {
	if len(raw)%2 != 0 {
		return "", "odd number of bytes in UTF-16"
	}
	units := make([]uint16, 0, len(raw)/2)
	for i := 0; i < len(raw); i += 2 {
		units = append(units, uint16(raw[i+low])|uint16(raw[i+1-low])<<8)
	}
	runes := utf16.Decode(units)
	for i, r := range runes {
		if r == unicode.ReplacementChar {
			return "", fmt.Sprintf("character %d is not valid UTF-16", i+1)
		}
	}
	return strings.TrimRight(string(runes), "\r\n"), ""
}

func trimEnd(raw []byte) []byte { return bytes.TrimRight(raw, "\r\n") }

// endMark is what DOS programs end a text file with; some fill the rest of the block with it or with NULs.
const endMark = "\x1a"

// endMarked tells that a line without an end was ended by an end mark, so that it is not torn.
func endMarked(line physicalLine, out *Line) bool {
	return line.last && out.Problem == "" && strings.HasSuffix(strings.TrimRight(out.Text, "\x00"), endMark)
}

// checkControls takes the end mark off the last line and refuses control characters other than the tab.
func checkControls(text string, last bool) (string, string) {
	if last {
		if trimmed := strings.TrimRight(text, "\x00"+endMark); strings.HasPrefix(text[len(trimmed):], endMark) {
			text = trimmed
		}
	}
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case b == 0:
			return "", fmt.Sprintf("NUL at byte %d", i+1)
		case b < ' ' && b != '\t', b == 0x7f:
			return "", fmt.Sprintf("control character 0x%02x at byte %d", b, i+1)
		}
	}
	return text, ""
}

// openPhysical opens a file in the encoding given and sees that its byte-order mark, if any, says the same.
func openPhysical(input legacy.Input, encoding Encoding) (*physical, error) {
	file, err := input.Open()
	if err != nil {
		return nil, err
	}
	physical := newPhysical(input.File, file, encoding)
	if marked := physical.marked; marked != "" && marked != encoding {
		physical.close()
		return nil, fmt.Errorf("%s: begins with the byte-order mark of %s, but the dialect names %s: correct the dialect",
			input.File, marked, encoding)
	}
	return physical, nil
}
