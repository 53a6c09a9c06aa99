package legacy

import (
	"bytes"
	"regexp"
	"slices"
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
	return slices.Contains(secretNames, name) || slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(name, word) })
}

var (
	figures = regexp.MustCompile(`\p{Nd}+`)
	// named is a word with the mark behind it that ends a key or a column.
	named = regexp.MustCompile(`([\pL\p{Nd}_. -]+)["' ]*[=:,;|\t]`)
)

// Mask gives the bytes of a line as one line of text that can be shown: runs of 4 to 10 digits and all that follows a
// password-like key are replaced by asterisks, control characters by spaces. Bytes that are not UTF-8 are read as
// CP1252; NULs are taken out first, so that UTF-16 text is masked as well.
func Mask(content []byte) string {
	text, value := printable(content), ""
	for _, at := range named.FindAllStringSubmatchIndex(text, -1) {
		if IsSecretKey(text[at[2]:at[3]]) {
			// The value runs to the end of the line, since a password may hold any separator.
			text, value = text[:at[1]], masked
			break
		}
	}
	text = figures.ReplaceAllStringFunc(text, func(run string) string {
		if count := utf8.RuneCountInString(run); count < shortestString || count > longestString {
			return run
		}
		return masked
	})
	return strings.ReplaceAll(text+value, "\t", " ")
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
