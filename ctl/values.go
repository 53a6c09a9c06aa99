package ctl

import (
	"cmp"
	"crypto"
	_ "crypto/sha1" // the digest that phones of the 79xx family know
	_ "crypto/sha512"
	"fmt"
	"slices"
	"strings"

	"capf/internal/plain"
)

// Role is what a certificate's owner may do for a phone (record tag 4, ctl-format.md).
type Role uint16

// The roles that ctl-format.md names.
const (
	RoleSAST                     Role = 0  // the administrator's security token, which signs the list
	RoleCCM                      Role = 1  // CallManager
	RoleCCMTFTP                  Role = 2  // CallManager and TFTP
	RoleTFTP                     Role = 3  // an alternate TFTP server
	RoleCAPF                     Role = 4  // the publisher's CAPF
	RoleApplicationServer        Role = 7  // an application server
	RoleTrustVerificationService Role = 21 // the trust verification service
)

var roleWords = map[Role]struct{ word, title string }{
	RoleSAST:                     {"sast", "System Administrator Security Token"},
	RoleCCM:                      {"ccm", "CCM"},
	RoleCCMTFTP:                  {"ccm+tftp", "CCM+TFTP"},
	RoleTFTP:                     {"tftp", "TFTP"},
	RoleCAPF:                     {"capf", "CAPF"},
	RoleApplicationServer:        {"application-server", "APP-SERVER"},
	RoleTrustVerificationService: {"tvs", "TVS"},
}

// String returns the role's word as commands use it (`ccm+tftp`, `ccm`, `tftp`, `sast`, `capf`, …), and
// `role N` for one that is not known.
func (r Role) String() string {
	return cmp.Or(roleWords[r].word, fmt.Sprintf("role %d", uint16(r)))
}

// Title returns the role as a list is shown: `CCM+TFTP`, `System Administrator Security Token`.
func (r Role) Title() string {
	return cmp.Or(roleWords[r].title, fmt.Sprintf("unknown (%d)", uint16(r)))
}

// OfNode tells whether a server of the cluster can have the role: ccm+tftp, ccm or tftp.
func (r Role) OfNode() bool {
	return r == RoleCCM || r == RoleCCMTFTP || r == RoleTFTP
}

// ParseRole reads the role of a node: `ccm+tftp`, `ccm` or `tftp`. The other roles are not given to
// nodes and are refused.
func ParseRole(word string) (Role, error) {
	for role, words := range roleWords {
		if role.OfNode() && words.word == word {
			return role, nil
		}
	}
	return 0, fmt.Errorf("role %q: use ccm+tftp, ccm or tftp", word)
}

// Digest is the digest algorithm of the list's signature (header tag 8).
type Digest byte

// The digests that ctl-format.md names. Phones of the 79xx family know SHA-1 only.
const (
	SHA1   Digest = 1
	SHA512 Digest = 3
)

var digests = map[Digest]struct {
	word string
	hash crypto.Hash
}{SHA1: {"sha1", crypto.SHA1}, SHA512: {"sha512", crypto.SHA512}}

// Hash returns the hash function, and false for a number that ctl-format.md does not name.
func (d Digest) Hash() (crypto.Hash, bool) {
	known, ok := digests[d]
	return known.hash, ok
}

// String returns `sha1`, `sha512`, or `digest N`.
func (d Digest) String() string { return cmp.Or(digests[d].word, fmt.Sprintf("digest %d", byte(d))) }

// ParseDigest reads `sha1` or `sha512`.
func ParseDigest(word string) (Digest, error) {
	for digest, known := range digests {
		if known.word == word {
			return digest, nil
		}
	}
	return 0, fmt.Errorf("digest %q: use sha1 or sha512", word)
}

// Modulus is the size of the signing key (header tag 11).
type Modulus byte

var modulusBits = []int{512, 1024, 2048, 4096}

// ModulusOf returns the number that stands for a key size in bits, and false for a size that no list can
// be signed with.
func ModulusOf(bits int) (Modulus, bool) {
	number := slices.Index(modulusBits, bits)
	return Modulus(max(number, 0)), number >= 0
}

// Bits returns the key size, and 0 for a number that ctl-format.md does not name.
func (m Modulus) Bits() int {
	if int(m) >= len(modulusBits) {
		return 0
	}
	return modulusBits[m]
}

// String returns the key size in words.
func (m Modulus) String() string {
	if m.Bits() == 0 {
		return fmt.Sprintf("modulus %d", byte(m))
	}
	return fmt.Sprintf("%d bits", m.Bits())
}

// Version is a version number of two bytes, the major one first (header tags 1 and 28).
type Version uint16

// The versions that are written. SignerVersion11 is for phones that take EC keys; SignerVersionOmitted
// leaves the element out, as firmware of the CallManager 4.1 era is used to it [P].
const (
	FormatVersion        Version = 0x0102
	SignerVersion10      Version = 0x0100
	SignerVersion11      Version = 0x0101
	SignerVersionOmitted Version = 0xFFFF
)

// String returns `1.2`.
func (v Version) String() string {
	return fmt.Sprintf("%d.%d", v>>8, v&0xFF)
}

// quoted makes text from a file fit for one line on a terminal: what cannot be printed is escaped.
func quoted(text string) string {
	if plain.IsPrintable(text) {
		return text
	}
	var escaped strings.Builder
	for _, char := range []byte(text) {
		if char >= ' ' && char < 0x7F {
			escaped.WriteByte(char)
		} else {
			fmt.Fprintf(&escaped, `\x%02x`, char)
		}
	}
	return escaped.String()
}

// quote is a text from a file in an error, which is to stay one line of a few hundred bytes.
func quote(text string) string { return plain.QuoteTo(text, 256) }
