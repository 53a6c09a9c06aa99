package ctl

import (
	"encoding/hex"
	"slices"
	"strings"
)

// sameName tells whether two strings write the same name. Other makers of lists separate with `;`, quote
// instead of escaping, write the short names in lower case, or begin at the other end; a list of theirs
// that phones already hold is not wrong for it.
func sameName(one, other string) bool {
	if one == other {
		return true
	}
	// Escaping makes a name at most three times as long. What is longer is another one, and a name of nothing but
	// separators would take many times its length to be taken apart.
	if short, long := min(len(one), len(other)), max(len(one), len(other)); long > 4*short+64 {
		return false
	}
	return slices.Equal(nameParts(one), nameParts(other))
}

// nameParts takes a name apart into `TYPE=value`, the values without escapes, quotes, and spaces around.
// They are sorted: the parts of a multi-valued name have no order.
func nameParts(name string) []string {
	var parts []string
	var part strings.Builder
	quotes := false
	finish := func() {
		kind, value, _ := strings.Cut(part.String(), "=")
		parts = append(parts, strings.ToUpper(strings.TrimSpace(kind))+"="+strings.TrimSpace(value))
		part.Reset()
	}
	for i := 0; i < len(name); i++ {
		switch char := name[i]; {
		case char == '\\' && i+1 < len(name):
			char, taken := unescape(name[i+1:])
			part.WriteByte(char)
			i += taken
		case char == '"':
			quotes = !quotes
		case !quotes && strings.IndexByte(",;+", char) >= 0:
			finish()
		default:
			part.WriteByte(char)
		}
	}
	finish()
	slices.Sort(parts)
	return parts
}

// unescape reads what follows a backslash, two hex digits or one byte, and says how much it took.
func unescape(rest string) (char byte, taken int) {
	if len(rest) >= 2 {
		if pair, err := hex.DecodeString(rest[:2]); err == nil {
			return pair[0], 2
		}
	}
	return rest[0], 1
}
