package text

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"capf/legacy"
)

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

// decoder gives the text of a line without its end, or why there is none.
type decoder func(raw []byte) (text, problem string)

func decoderOf(encoding Encoding) decoder {
	switch {
	case singleByte[encoding] != nil:
		return decodeSingle(encoding)
	case doubleByte[encoding] != nil:
		return decodeDouble(encoding)
	case encoding == UTF16LE:
		return func(raw []byte) (string, string) { return decodeWide(raw, 0) }
	case encoding == UTF16BE:
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
func endMarked(line Line) bool {
	return line.last && line.Problem == "" && strings.HasSuffix(strings.TrimRight(line.Text, "\x00"), endMark)
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
		physical.closer.Close()
		return nil, fmt.Errorf("%s: begins with the byte-order mark of %s, but the dialect names %s: correct the dialect",
			input.File, marked, encoding)
	}
	return physical, nil
}
