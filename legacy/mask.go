package legacy

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// masked stands for what is not shown. Its length tells nothing.
const masked = "********"

// An authentication string has 4 to 10 digits (cli.md), so runs of that length are not shown.
const (
	shortestString = 4
	longestString  = 10
)

// secretWords are the parts of a key's name, letters and digits only, that make its value one not to be shown.
var secretWords = []string{
	"password", "passwd", "passphrase", "pwd", "secret", "challenge", "authenticationstring", "authstring", "privatekey",
	"kennwort", "passwort",
}

// secretNames are whole names that are too short to be looked for inside others.
var secretNames = []string{"pass", "pin", "pw", "authstr"}

// Normalise gives a key or word as it is compared: lower case, letters and digits only.
func Normalise(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, word)
}

// IsSecretKey tells whether the value of a key of this name must not be shown.
func IsSecretKey(key string) bool {
	name := Normalise(key)
	for _, word := range secretNames {
		if name == word {
			return true
		}
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// Mask gives the bytes of a line as one line of text that can be shown: runs of 4 to 10 digits and all that follows a
// password-like key are replaced by asterisks, control characters by spaces. Bytes that are not UTF-8 are read as
// CP1252; NULs are taken out first, so that UTF-16 text is masked as well.
func Mask(content []byte) string {
	text := []rune(printable(content))
	var out strings.Builder
	for start := 0; start < len(text); {
		end := start
		for end < len(text) && isWord(text[end]) {
			end++
		}
		if end == start {
			out.WriteRune(text[start])
			start++
			continue
		}
		word := string(text[start:end])
		maskDigits(&out, text[start:end])
		if value := valueStart(text, end); value > 0 && IsSecretKey(word) {
			out.WriteString(string(text[end:value]))
			out.WriteString(masked)
			break
		}
		start = end
	}
	return strings.ReplaceAll(out.String(), "\t", " ")
}

// Unmasked is Mask without the masks: for a person who asked for it, at a terminal.
func Unmasked(content []byte) string { return strings.ReplaceAll(printable(content), "\t", " ") }

// MaskText is Mask for text that has been decoded.
func MaskText(text string) string { return Mask([]byte(text)) }

func printable(content []byte) string {
	if bytes.IndexByte(content, 0) >= 0 {
		content = bytes.ReplaceAll(content, []byte{0}, nil)
	}
	text := string(content)
	if !utf8.ValidString(text) {
		// Every byte has a meaning to this decoder, so it does not fail.
		text, _ = charmap.Windows1252.NewDecoder().String(text)
	}
	text = strings.TrimRight(text, "\r\n\x1a")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\t' {
			return ' '
		}
		return r
	}, text)
}

func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '.' || r == ' '
}

// valueStart gives the index of the value where a mark follows the key that ended at end, else 0. The value runs to
// the end of the line, since a password may hold any separator.
func valueStart(text []rune, end int) int {
	for end < len(text) && strings.ContainsRune(`"' `, text[end]) {
		end++
	}
	if end == len(text) || !strings.ContainsRune("=:,;|\t", text[end]) {
		return 0
	}
	return end + 1
}

func maskDigits(out *strings.Builder, word []rune) {
	for start := 0; start < len(word); {
		end := start
		for end < len(word) && unicode.IsDigit(word[end]) {
			end++
		}
		switch run := end - start; {
		case run == 0:
			out.WriteRune(word[start])
			end++
		case run >= shortestString && run <= longestString:
			out.WriteString(masked)
		default:
			out.WriteString(string(word[start:end]))
		}
		start = end
	}
}
