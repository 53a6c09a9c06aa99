package text

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
)

// A private key can also stand in a file as its DER in hex digits or base64, without any mark. It is known by how it
// begins (RFC 8017, A.1.2; RFC 5915, 3; RFC 5958, 2 and 3): a SEQUENCE with the version of a key, or with the OID of an
// encryption by password. No certificate, request, public key or list of revoked ones begins so. How far it reaches is
// what its length says.

// keyInDER is the problem of a private key without marks.
const keyInDER = "private key without marks, not kept"

// startLength is how many bytes of DER tell whether they are a key's.
const startLength = 24

// bareKey withholds a private key without marks that begins on the line. What the END of another block follows is none.
func (f *keyFilter) bareKey(line physicalLine) (physicalLine, bool, error) {
	run, need := keyStart(line.raw)
	if need == 0 || line.continued {
		return line, true, nil
	}
	isPart := isBase64
	if isHex(run) {
		isPart = isHexDigit
	}
	more := 0
	for have := len(run); have < need; more++ {
		next, ok, err := f.peek(more)
		if err != nil {
			return line, false, err
		}
		if !ok {
			break
		}
		body := bytes.Trim(plain(next.raw), " \t\r\n=\"',;\x1a")
		if len(body) == 0 || bytes.ContainsFunc(body, func(r rune) bool { return r >= 0x80 || !isPart(byte(r)) }) {
			if lastFold(body, "-----end ") >= 0 {
				return line, true, nil
			}
			break
		}
		have += len(body)
	}
	f.clear = max(0, f.clear-more)
	return f.withhold(line, more, keyInDER)
}

// keyStart gives the run of digits or base64 with which a key begins, and how many characters the whole key has; 0: none
// begins on the line.
func keyStart(raw []byte) (run []byte, need int) {
	if !hasKeyRun(raw) {
		return nil, 0 // most lines
	}
	raw = plain(raw)
	for from := 0; from < len(raw); from++ {
		end := from
		for end < len(raw) && isBase64(raw[end]) {
			end++
		}
		if run = raw[from:end]; len(run) >= keyRun {
			if bytes.HasPrefix(run, []byte("0x")) || bytes.HasPrefix(run, []byte("0X")) {
				run = run[2:]
			}
			if need = keyCharacters(run); need > 0 {
				return run, need
			}
		}
		from = end
	}
	return nil, 0
}

// keyCharacters is how many characters a key has that begins so; 0: it is none.
func keyCharacters(run []byte) int {
	var start [startLength]byte
	if count := min(len(run)&^1, 2*startLength); isHex(run[:count]) {
		n, _ := hex.Decode(start[:], run[:count])
		return 2 * keyLength(start[:n])
	}
	count := min(len(run)&^3, startLength/3*4)
	n, err := base64.StdEncoding.Decode(start[:], run[:count])
	if err != nil {
		return 0
	}
	return base64.RawStdEncoding.EncodedLen(keyLength(start[:n]))
}

// keyLength is how many bytes a private key has whose DER begins so; 0: it is none.
func keyLength(der []byte) int {
	whole, body := sequence(der)
	if whole == 0 || len(body) < 5 {
		return 0
	}
	if _, inner := sequence(body); bytes.HasPrefix(inner, encryptedKey) {
		return whole
	}
	switch version, follows := body[:3], body[3:]; {
	case bytes.Equal(version, []byte{2, 1, 0}) && (follows[0] == 0x02 && follows[1] > 2 || follows[0] == 0x30):
		return whole
	case bytes.Equal(version, []byte{2, 1, 1}) && (follows[0] == 0x30 || follows[0] == 0x04 && bytes.IndexByte(curveBytes, follows[1]) >= 0):
		return whole
	}
	return 0
}

var (
	// encryptedKey begins the OIDs of the encryptions by password, of PKCS #5.
	encryptedKey = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05}
	// curveBytes are the lengths of the private keys of the curves in use, 192 to 521 bits.
	curveBytes = []byte{24, 28, 32, 48, 66}
)

// sequence gives the length of a SEQUENCE, and what is there of its content; 0: it is none.
func sequence(der []byte) (whole int, body []byte) {
	if len(der) < 4 || der[0] != 0x30 {
		return 0, nil
	}
	switch der[1] {
	case 0x81:
		return 3 + int(der[2]), der[3:]
	case 0x82:
		return 4 + int(der[2])<<8 + int(der[3]), der[4:]
	default:
		if der[1] > 0x7f {
			return 0, nil
		}
		return 2 + int(der[1]), der[2:]
	}
}

func isHex(run []byte) bool {
	for _, b := range run {
		if !isHexDigit(b) {
			return false
		}
	}
	return len(run) > 0
}

func isHexDigit(b byte) bool { return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f' }
