package phoneconfig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// source is a document, and the text as which it is read and edited: UTF-8, whatever the document is.
type source struct {
	document []byte
	text     []byte    // without a mark of UTF-16
	mark     int       // bytes of the text before the XML begins
	oneByte  bool      // each character of the text is one byte of the document
	order    unitOrder // of UTF-16; nil for anything else
}

type unitOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// fault is what is wrong at a place of a source.
type fault struct {
	at  int // in the text
	err error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func faultf(at int, format string, values ...any) error {
	return &fault{at, fmt.Errorf(format, values...)}
}

const (
	utf8Mark   = "\xEF\xBB\xBF"
	littleMark = "\xFF\xFE"
	bigMark    = "\xFE\xFF"
)

// ErrSigned is what a signed file is refused with: edited, it would not verify any more.
var ErrSigned = errors.New("a signed or encrypted file")

// signedBegins is the version that a signed file begins with as a trust list does (ctl-format.md, "Header").
var signedBegins = []byte{1, 0, 2}

// declared finds the encoding in an XML declaration, which is ASCII in all encodings that are read here.
var declared = regexp.MustCompile(`^<\?xml[ \t\r\n][^?>]*\bencoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z0-9._:-]+)["']`)

// oneByte are the encodings in which every byte is one character, and those below 128 are ASCII.
var oneByte = regexp.MustCompile(`^(?i:us-ascii|ascii|iso[-_]?8859-[0-9]{1,2}|latin-?[0-9]{1,2}|windows-125[0-9]|cp-?125[0-9])$`)

// read finds out how the document is encoded.
func (s *source) read() error {
	s.text = s.document
	switch {
	case len(s.document) > MaxFile:
		return faultf(MaxFile, "it is longer than %d bytes, as no configuration of a phone is", MaxFile)
	case bytes.HasPrefix(s.document, signedBegins):
		return faultf(0, "%w: it begins with tag 1, as a trust list, not like XML", ErrSigned)
	case bytes.HasPrefix(s.document, []byte("<\x00")), bytes.HasPrefix(s.document, []byte("\x00<")):
		return faultf(0, "UTF-16 without a byte-order mark; save it with one, or as UTF-8")
	case bytes.HasPrefix(s.document, []byte(littleMark)):
		return s.readUTF16(binary.LittleEndian, "utf-16le")
	case bytes.HasPrefix(s.document, []byte(bigMark)):
		return s.readUTF16(binary.BigEndian, "utf-16be")
	}
	if bytes.HasPrefix(s.document, []byte(utf8Mark)) {
		s.mark = len(utf8Mark)
	}
	encoding := declaration(s.text[s.mark:])
	switch {
	case encoding == "", encoding == "utf-8", encoding == "utf8":
		return checkUTF8(s.text)
	case oneByte.MatchString(encoding) && s.mark == 0:
		s.readOneByte()
		return nil
	}
	return faultf(s.mark, "it declares the encoding %q, which is not edited here; save it as UTF-8", encoding)
}

// declaration gives the encoding that a document declares, in lower case; empty where it declares none.
func declaration(text []byte) string {
	found := declared.FindSubmatch(text)
	if found == nil {
		return ""
	}
	return strings.ToLower(string(found[1]))
}

func checkUTF8(text []byte) error {
	for at := 0; at < len(text); {
		char, size := utf8.DecodeRune(text[at:])
		if char == utf8.RuneError && size == 1 {
			return faultf(at, "a byte that is no UTF-8; where the file is of another encoding, its first line must declare that")
		}
		at += size
	}
	return nil
}

// letters is where in Unicode the bytes that are not ASCII are put while a document with one byte a character is edited:
// what they stand for there does not matter, since what is looked for and written is ASCII, but they must be 128
// different letters, of which names can be made too.
const letters = 0x4E00

func (s *source) readOneByte() {
	s.oneByte, s.text = true, make([]byte, 0, len(s.document))
	for _, char := range s.document {
		if char < utf8.RuneSelf {
			s.text = append(s.text, char)
		} else {
			s.text = utf8.AppendRune(s.text, letters+rune(char))
		}
	}
}

// readUTF16 reads what follows the mark. It takes nothing that would not be written as the same bytes again.
func (s *source) readUTF16(order unitOrder, name string) error {
	s.order, s.text = order, nil
	units := s.document[len(bigMark):]
	for at := 0; at < len(units); {
		if len(units)-at < 2 {
			return faultf(len(s.text), "half a character of UTF-16 at the end")
		}
		char := rune(order.Uint16(units[at:]))
		if at += 2; utf16.IsSurrogate(char) {
			second := rune(0)
			if len(units)-at >= 2 {
				second = rune(order.Uint16(units[at:]))
			}
			if char = utf16.DecodeRune(char, second); char == utf8.RuneError {
				return faultf(len(s.text), "half a pair of UTF-16 surrogates")
			}
			at += 2
		}
		s.text = utf8.AppendRune(s.text, char)
	}
	if encoding := declaration(s.text); encoding != "" && encoding != "utf-16" && encoding != name {
		return faultf(0, "it declares the encoding %q, but its byte-order mark says %s", encoding, name)
	}
	return nil
}

// write gives a text in the encoding of the document.
func (s *source) write(text []byte) []byte {
	switch {
	case s.order != nil:
		return s.writeUTF16(text)
	case s.oneByte:
		document := make([]byte, 0, len(text))
		for _, char := range string(text) {
			document = append(document, byte(char)) // of a letter: the byte that it was
		}
		return document
	}
	return text
}

func (s *source) writeUTF16(text []byte) []byte {
	document := s.order.AppendUint16(make([]byte, 0, 2+2*len(text)), 0xFEFF)
	var units []uint16
	for _, char := range string(text) {
		units = utf16.AppendRune(units[:0], char)
		for _, unit := range units {
			document = s.order.AppendUint16(document, unit)
		}
	}
	return document
}

// locate says in an error where in the document its place is: the first line is 1, the first byte 0.
func (s *source) locate(err error) error {
	var at *fault
	if !errors.As(err, &at) {
		return err
	}
	before := s.text[:min(at.at, len(s.text))]
	place := len(s.write(before))
	return fmt.Errorf("line %d, byte %d: %w", 1+bytes.Count(before, []byte("\n")), place, err)
}
