package capf

import (
	"fmt"
	"strings"

	"capf/internal/plain"
)

const (
	devicePrefix    = "SEP"
	macDigits       = 12
	maxDeviceLength = 64
)

// ParseDevice checks and normalises the name of a device. `SEP` with twelve hex digits and a bare MAC
// (with `:`, `-`, `.` or nothing between its digits, in any case) become `SEP` and upper-case digits;
// any other name of 1 to 64 of `A-Z a-z 0-9 . _ -` that begins with a letter or digit and has no `..`
// is taken as it is. Names become file names and common names, hence nothing else is let in.
func ParseDevice(text string) (string, error) {
	if isNormalised(text) {
		return text, nil
	}
	if mac, ok := parseMAC(text); ok {
		return devicePrefix + mac, nil
	}
	if len(text) > len(devicePrefix) && strings.EqualFold(text[:len(devicePrefix)], devicePrefix) {
		if mac, ok := parseMAC(text[len(devicePrefix):]); ok {
			return devicePrefix + mac, nil
		}
	}
	if !isPlainName(text) {
		return "", &Error{Code: CodeInvalid, Message: fmt.Sprintf("device name %q", plain.Clip(text)),
			Hint: "use SEP and 12 hex digits, a MAC address, or 1 to 64 of A-Z a-z 0-9 . _ - that begin with a letter or digit"}
	}
	return text, nil
}

// isNormalised tells a device that has its form already, as nearly all have.
func isNormalised(text string) bool {
	if len(text) != len(devicePrefix)+macDigits || text[:len(devicePrefix)] != devicePrefix {
		return false
	}
	for _, c := range []byte(text[len(devicePrefix):]) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// parseMAC reads twelve hex digits, bare or in the groups that people and switches write
// (00:11:…, 00-11-…, 0011.2233.4455), and gives them in upper case.
func parseMAC(text string) (string, bool) {
	separator := byte(0)
	digits := make([]byte, 0, macDigits)
	sinceSeparator := 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'F':
			digits = append(digits, c)
			sinceSeparator++
		case c >= 'a' && c <= 'f':
			digits = append(digits, c-'a'+'A')
			sinceSeparator++
		case c == ':' || c == '-' || c == '.':
			if separator != 0 && c != separator || sinceSeparator == 0 || sinceSeparator%2 != 0 {
				return "", false
			}
			separator, sinceSeparator = c, 0
		default:
			return "", false
		}
		if len(digits) > macDigits {
			return "", false
		}
	}
	return string(digits), len(digits) == macDigits && sinceSeparator > 0
}

// MAC gives the twelve upper-case hex digits in the name of a phone, and false for other devices.
func MAC(device string) (string, bool) {
	mac, found := strings.CutPrefix(device, devicePrefix)
	return mac, found && len(mac) == macDigits && strings.Trim(mac, "0123456789ABCDEF") == ""
}

func isPlainName(text string) bool {
	if text == "" || len(text) > maxDeviceLength || strings.Contains(text, "..") {
		return false
	}
	for i := range len(text) {
		if c := text[i]; !isAlphanumeric(c) && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
