// Package plain makes text that came from a phone, a file, a token or another server fit to be shown: one line, of a length
// that a line bears, without anything that a terminal obeys.
package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsControl tells characters that no name may have: controls, those of C1 among them, which terminals obey, breaks of a
// line, and what turns the direction of the text that follows. Marks of direction are no such: Hebrew and Arabic names
// have them.
func IsControl(r rune) bool {
	return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029'
}

// IsPrintable tells text that can be shown as it is: UTF-8, of letters, marks, digits, signs and the ordinary space.
func IsPrintable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// IsWord tells printable text without any space, such as the name of a host. Decoders put the replacement character in the
// place of bytes that are no text: a word does not have it.
func IsWord(text string) bool {
	return IsPrintable(text) && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == unicode.ReplacementChar })
}

// Line gives text with a space in the place of each control character and each mark of direction, and a question mark in
// the place of bytes that are not UTF-8.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// mostShown is how many bytes of a stranger's text an error or a log shows: enough to know it by.
const mostShown = 80

// Clip gives the beginning of a text, and an ellipsis where something is left out.
func Clip(text string) string { return ClipTo(text, mostShown) }

const ellipsis = "…"

// ClipTo is Clip for at most so many bytes, the ellipsis counted, which needs 3. It never cuts a character.
func ClipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	at := max(most-len(ellipsis), 0)
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at] + ellipsis
}

// QuoteTo gives a text between quotes, escaped as in Go, and no more of it than ClipTo does. The ellipsis is behind the
// quotes: it is no part of the text.
func QuoteTo(text string, most int) string {
	clipped := ClipTo(text, most)
	if clipped == text {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q"+ellipsis, strings.TrimSuffix(clipped, ellipsis))
}

// Counted is a number of things: "1 conflict", "3 conflicts". Their name is given for one of them, and takes an s for any
// other number.
func Counted(count int, one string) string { return CountedAs(count, one, one+"s") }

// CountedAs is Counted for a name that takes more than an s.
func CountedAs(count int, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}
