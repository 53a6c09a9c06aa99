// Package text reads the lines of old files: it finds or takes the encoding, keeps the original bytes, the number and
// the place of each line, and marks the lines that cannot be read as text.
//
// What it copes with is the list of legacy-layout.md: CRLF, the Windows code pages, UTF-8 and UTF-16 with a byte-order
// mark, a trailing 0x1A, a torn last line, NUL bytes. It holds a few lines at a time, whatever the size of the file. Text of a
// private key, whole or torn, does not leave this package: only its place and SHA-256 do.
package text

import (
	"crypto/sha256"
	"fmt"
	"iter"

	"capf/legacy"
)

// MaxLine is the length in bytes from which a line is not read any more but handed on in pieces, to be kept aside.
const MaxLine = 64 << 10

// Line is one line of a file, one piece of a line that is too long, or a run of lines that holds private key text.
type Line struct {
	// Number counts from 1. Pieces of one line have the same number.
	Number int
	// Count is the number of lines ended here: 1; more for private key text; 0 for the later pieces of a long line.
	Count int
	// Offset is the place of the first byte in the file, Size the number of bytes with the line end.
	Offset, Size int64
	// Raw are the original bytes with the line end; the receiver may keep them. Nil for private key text.
	Raw []byte
	// Text is the decoded line without its end. Not set where Problem is.
	Text string
	// Problem says why the line cannot be read as text; empty if it can.
	Problem string
	// Torn tells that the file ended before the line did.
	Torn bool
	// PrivateKey tells that the bytes were withheld.
	PrivateKey bool
	// SHA256 is over the original bytes; set for private key text only.
	SHA256 [sha256.Size]byte

	last      bool // nothing follows
	overlong  bool // a piece of a line that is too long
	continued bool // not the first piece
}

// Kept gives the line as one to be kept aside.
func (l Line) Kept(file string, reason string) legacy.KeptLine {
	position := legacy.Position{File: file, Line: l.Number}
	if l.PrivateKey {
		return legacy.WithholdKey(position, l.Count, l.Offset, l.Size, l.SHA256, l.Problem)
	}
	kept := legacy.Keep(position, l.Offset, l.Raw, reason)
	kept.Count = l.Count
	return kept
}

// Lines reads the lines of a file in an encoding that was named or found by Find. A byte-order mark belongs to no
// line. After an error, which carries the file's name, nothing follows.
func Lines(input legacy.Input, encoding Encoding) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		physical, err := openPhysical(input, encoding)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer physical.closer.Close()
		keys := keyFilter{physical: physical}
		decode := decoderOf(encoding)
		for {
			line, ok, err := keys.next()
			if err != nil {
				yield(Line{}, err)
				return
			}
			if !ok || !yield(finish(line, decode), nil) {
				return
			}
		}
	}
}

// finish gives a line its text or its problem.
func finish(line Line, decode decoder) Line {
	switch {
	case line.PrivateKey:
	case line.overlong:
		line.Problem = overlongProblem
	default:
		line.Text, line.Problem = decode(line.Raw)
		line.Torn = line.Torn && !endMarked(line)
	}
	if line.Problem == "" {
		line.Text, line.Problem = checkControls(line.Text, line.last)
	}
	return line
}

// AsUTF8 gives a whole file that an administrator has written, in UTF-8 and without its byte-order mark: Windows editors
// put one before UTF-8, and save as UTF-16 what they call Unicode. Without a mark of UTF-16 the content stays as it is.
// The error says, with the line, what is no UTF-16.
func AsUTF8(content []byte) ([]byte, error) {
	encoding, length := MarkOf(content)
	if encoding != UTF16LE && encoding != UTF16BE {
		return content[length:], nil
	}
	var out []byte
	for line, err := range Lines(legacy.BytesInput("", content), encoding) {
		if err != nil {
			return nil, err
		}
		if line.Problem != "" {
			return nil, fmt.Errorf("line %d: %s: save the file as UTF-8", line.Number, line.Problem)
		}
		if out = append(out, line.Text...); !line.Torn {
			out = append(out, '\n')
		}
	}
	return out, nil
}
