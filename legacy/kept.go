package legacy

import (
	"crypto/sha256"
	"fmt"
)

// PrivateKeyAdvice is the reason of the finding that goes with private key text.
const PrivateKeyAdvice = "holds a private key: only its place and SHA-256 are kept; " +
	"take it off the old disk and hold the key for disclosed"

// IdentityKeyAdvice is that reason for the key of a CAPF that issued LSCs, in its capf.pem.
const IdentityKeyAdvice = "holds the private key of a CAPF: only its place and SHA-256 are kept; " +
	"`capf init --from` takes key and certificate over as our own"

// KeyAdvice gives the reason for a private key, or for the one of a CAPF's identity.
func KeyAdvice(identity bool) string {
	if identity {
		return IdentityKeyAdvice
	}
	return PrivateKeyAdvice
}

// KeptLine is a line of a file that was not understood and is kept aside, or a run of lines whose bytes are withheld.
type KeptLine struct {
	Position
	// Count is the number of lines that it stands for: 1, or more for those that are withheld. Pieces of one line that was
	// too long carry the same number; those after the first have 0.
	Count int
	// Offset is the place of its first byte in the file; Size the number of bytes, line end included.
	Offset, Size int64
	// Bytes are the original ones, line end included. Nil where they are withheld: private key text, and all that is no
	// certificate in a certificate file.
	Bytes []byte
	// Reason says in a few words what was not understood. It holds no secret.
	Reason string
	// SHA256 is over the original bytes.
	SHA256 [sha256.Size]byte
	// PrivateKey tells that the bytes were withheld because they are those of a private key.
	PrivateKey bool
}

// Keep makes a kept line of bytes that may be kept; the bytes are not copied.
func Keep(position Position, offset int64, content []byte, reason string) KeptLine {
	return KeptLine{
		Position: position, Count: 1, Offset: offset, Size: int64(len(content)),
		Bytes: content, Reason: reason, SHA256: sha256.Sum256(content),
	}
}

// Withhold makes a kept line of what is not kept: its place, size and digest only.
func Withhold(position Position, count int, offset, size int64, digest [sha256.Size]byte, reason string) KeptLine {
	return KeptLine{
		Position: position, Count: count, Offset: offset, Size: size,
		Reason: reason, SHA256: digest,
	}
}

// WithholdKey is Withhold for private key text.
func WithholdKey(position Position, count int, offset, size int64, digest [sha256.Size]byte, reason string) KeptLine {
	out := Withhold(position, count, offset, size, digest, reason)
	out.PrivateKey = true
	return out
}

// Shown gives the bytes for a person to look at, masked (see Mask).
func (k KeptLine) Shown() string {
	switch {
	case k.PrivateKey:
		return fmt.Sprintf("(private key text, %d bytes, not kept)", k.Size)
	case k.Bytes == nil:
		return fmt.Sprintf("(%d bytes, not kept)", k.Size)
	}
	return Mask(k.Bytes)
}

// String gives place and reason, never the bytes.
func (k KeptLine) String() string {
	return fmt.Sprintf("%s: %s", k.Position, k.Reason)
}

// GoString is String, so that %#v shows no bytes either.
func (k KeptLine) GoString() string { return k.String() }
