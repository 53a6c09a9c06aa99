// Package wire holds the messages that a phone and a CAPF server exchange, and reads and writes them.
//
// There are two layers. A [Message] is a message as it came: command, session ID and elements in their
// order, unknown ones too; what [Decode] accepts, [Encode] turns back into the same bytes. Above it stand
// typed views, one for each message whose layout is known ([AuthenticationRequest], [KeyGenerationResponse]
// and so on): [Read] reads one from a message, its method Message writes it.
//
// The facts come from capf-protocol.md, which gathers public observations; its marks are repeated here:
// [C] seen on the wire between a real CallManager and a real client, [P] what servers do that real phones
// are enrolled with today, [N] number and name known, layout not. Messages marked [N] have no view. The
// recorded sessions that the tests use are testdata/wire/capf-sessions.jsonl.
//
// Everything here is hostile until checked: lengths are capped before anything is allocated, and there is
// never a partial result beside an error.
package wire

// Limits of a message.
const (
	// Magic is the first byte of every message. [C]
	Magic = 0x55
	// HeaderSize is the number of bytes before the elements: magic, command, session ID, length. [C]
	HeaderSize = 8
	// MaxMessage is the size of the largest message that is read from or written to a stream, header
	// included. The length field would allow 65,543 bytes, but a message has to travel in one TLS record
	// [P], and a record holds 16,384 bytes (RFC 8446, section 5.1). The largest message known, an
	// authentication response with two certificates and four signatures of 4,096 bits, stays below 8,000.
	MaxMessage = 16384
	// MaxElements is the most bytes of elements in a message on a stream.
	MaxElements = MaxMessage - HeaderSize
	// MaxElementCount is the most elements in a message. Twenty tags are known and none is repeated;
	// the rest is room for what firmware adds. Without it a message of empty elements would cost
	// thirteen times its size in memory.
	MaxElementCount = 64
	// MaxText is the most bytes of a text value (device name, authentication string) before its NUL.
	// The longest names of devices have 64 characters.
	MaxText = 64
)

// Versions of the protocol. Servers send 3; hardware phones answer 3, a soft phone answers 2. [C]
const (
	Version2 = 2
	Version3 = 3
)

// Optional is the value of an element that may be missing.
type Optional[T any] struct {
	Value   T
	Present bool
}

// Some is an element that is there.
func Some[T any](value T) Optional[T] { return Optional[T]{Value: value, Present: true} }

// Or is the value, or the fallback where the element is missing.
func (o Optional[T]) Or(fallback T) T {
	if o.Present {
		return o.Value
	}
	return fallback
}
