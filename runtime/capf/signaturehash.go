package capf

// SignatureHash is the hash under the signature of an LSC.
type SignatureHash string

// The hashes. SHA-1 is for phones of the CallManager 4.1 era, which know nothing else.
const (
	HashSHA256 SignatureHash = "sha256"
	HashSHA1   SignatureHash = "sha1"
)

// SignatureHashes are all of them, the usual one first.
var SignatureHashes = []SignatureHash{HashSHA256, HashSHA1}

// UnmarshalText takes one of SignatureHashes.
func (v *SignatureHash) UnmarshalText(text []byte) error {
	return oneOf(v, "hash of the LSC's signature", text, SignatureHashes)
}
