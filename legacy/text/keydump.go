package text

import "bytes"

// A private key can also stand in a file as openssl and certtool print it: a name, `privateExponent:` for one, and below
// it lines of hex digits in pairs with colons between them (openssl-rsa(1), option -text; RFC 8017, A.1.2, has the
// names). Other programs write the digits without colons, in hex or decimal, and `=` for the colon behind the name.
// Modulus and public exponent are no secret, and stay.

// keyPart is the problem of a part of a private key in digits.
const keyPart = "part of a private key in digits, not kept"

// secretParts are the names of the parts of a key that are secret, in lower case and without spaces; a number may follow.
// Those of the second kind never come first, so that lines of hex right above them belong to a secret part as well.
var (
	secretParts = []string{"privateexponent", "prime", "exponent", "coefficient", "priv", "exp", "privatekey"}
	laterParts  = []string{"prime", "exponent", "coefficient", "exp", "pub"}
)

// shortDump is how many pairs of digits a line of a part has that is not its last; a MAC address has fewer.
const shortDump = 8

// shortNumber is how many digits, decimal or hex, a part of a key has on a line at the least where there are no colons; no
// serial number, time or MAC address has as many.
const shortNumber = 24

// hexDump withholds a part of a key that begins on the line; false: none does.
func (f *keyFilter) hexDump(line physicalLine) (physicalLine, bool, error) {
	name, inline := partName(line.raw, secretParts)
	switch {
	case inline:
	case name:
		next, ok, err := f.peek(0)
		if err != nil || !ok || !isHexDump(next.raw) && !isNumber(next.raw) {
			return line, false, err
		}
	default:
		begins, err := f.isDumpWithoutName(line)
		if err != nil || !begins {
			return line, false, err
		}
	}
	joined := newKeyText(line)
	for {
		next, ok, err := f.peek(0)
		if err != nil {
			return line, false, err
		}
		if !ok || !isHexDump(next.raw) && !isNumber(next.raw) {
			return joined.end(keyPart), true, nil
		}
		joined.add(next)
		f.ahead = f.ahead[1:]
	}
}

// isDumpWithoutName tells lines of hex whose name was torn off: another part of the key follows them.
func (f *keyFilter) isDumpWithoutName(line physicalLine) (bool, error) {
	if f.bare > 0 {
		f.bare--
		return false, nil
	}
	if !isHexDump(line.raw) || dumpPairs(line.raw) < shortDump {
		return false, nil
	}
	more, size := 0, int64(0)
	for ; size < keyBytes; more++ {
		next, ok, err := f.peek(more)
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		if !isHexDump(next.raw) {
			if name, inline := partName(next.raw, laterParts); name || inline {
				return true, nil
			}
			break
		}
		size += next.size
	}
	f.bare = more
	return false, nil
}

// partName tells a line that has the name of a part and its colon: alone, or with the value behind it.
func partName(raw []byte, names []string) (alone, inline bool) {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		raw = bytes.TrimPrefix(raw, []byte(mark))
	}
	raw = bytes.TrimLeft(raw, "\x00 \t")
	if len(raw) == 0 || bytes.IndexByte([]byte("pec"), raw[0]|0x20) < 0 {
		return false, false // most lines
	}
	raw = plain(raw)
	mark := bytes.IndexAny(raw, ":=")
	if mark < 0 || mark > markLength {
		return false, false
	}
	name, value := raw[:mark], raw[mark+1:]
	name = bytes.TrimRight(bytes.ToLower(bytes.ReplaceAll(name, []byte(" "), nil)), "0123456789")
	for _, one := range names {
		if string(name) != one {
			continue
		}
		value = bytes.TrimSpace(value)
		return len(value) == 0, isHexDump(value) && dumpPairs(value) >= shortDump || isNumber(value)
	}
	return false, false
}

// isHexDump tells a line of nothing but pairs of hex digits with colons between them, and what damage makes of one.
func isHexDump(raw []byte) bool {
	digits, colons := 0, 0
	for _, b := range bytes.TrimSpace(plain(raw)) {
		switch {
		case b >= '0' && b <= '9', b|0x20 >= 'a' && b|0x20 <= 'f':
			digits++
		case b == ':':
			colons++
		case b >= ' ' && b < 0x7f:
			return false
		}
	}
	return digits > 0 && digits <= 2*(colons+1) && (colons > 0 || digits == 2)
}

// isNumber tells a line of nothing but the digits of a large number, decimal or hex; numbers of C and quotes may be around.
// It counts only below or behind the name of a part: a fingerprint looks the same.
func isNumber(raw []byte) bool {
	digits := bytes.Trim(plain(raw), " \t\r\n\"',;\\")
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		digits = digits[2:]
	}
	return len(digits) >= shortNumber && isHex(digits)
}

func dumpPairs(raw []byte) int { return bytes.Count(raw, []byte(":")) }
