package legacy

import (
	"regexp"
	"strings"
)

const (
	devicePrefix = "SEP"
	macDigits    = 12
)

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// DeviceName checks and normalises the name of a device as cli.md has it: `SEP` and 12 hex digits in any case, or a MAC
// address (bare, or with one of `:`, `-`, `.` between whole bytes), become `SEP` and upper-case digits; any other name
// of 1 to 64 of `A-Z a-z 0-9 . _ -`, the first a letter or digit, `..` nowhere, is taken as it is. False: it is no name.
func DeviceName(text string) (string, bool) {
	if name, ok := PhoneName(text); ok {
		return name, true
	}
	return text, plainName.MatchString(text) && !strings.Contains(text, "..")
}

// PhoneName is DeviceName for those names alone that have a MAC address.
func PhoneName(text string) (string, bool) {
	if len(text) > len(devicePrefix) && strings.EqualFold(text[:len(devicePrefix)], devicePrefix) {
		text = text[len(devicePrefix):]
	}
	mac, ok := macAddress(text)
	return devicePrefix + mac, ok
}

// macAddress gives the 12 digits in upper case.
func macAddress(text string) (string, bool) {
	separator := byte(0)
	digits, since := make([]byte, 0, macDigits), 0
	for i := range len(text) {
		switch c := text[i]; {
		case isHexDigit(c) && len(digits) < macDigits:
			digits = append(digits, c)
			since++
		case (c == ':' || c == '-' || c == '.') && (separator == 0 || separator == c) && since > 0 && since%2 == 0:
			separator, since = c, 0
		default:
			return "", false
		}
	}
	return strings.ToUpper(string(digits)), len(digits) == macDigits && since > 0
}

func isHexDigit(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }
