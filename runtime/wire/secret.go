package wire

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// redacted stands wherever a secret would.
const redacted = "[secret]"

// Secret is the value of an element that must not be seen: an authentication string, or a proof of
// possession, which can be replayed. The zero Secret is an element that is missing. It shows itself in no
// textual form: it lies inside a function, where not even fmt finds it when the Secret is an unexported
// field of something that is printed.
type Secret struct {
	value func() []byte
}

// NewSecret is a secret with its own copy of the value. An empty value is there, but empty.
func NewSecret(value []byte) Secret {
	own := append([]byte{}, value...)
	return Secret{value: func() []byte { return own }}
}

// Present says whether the element is there, be it empty.
func (s Secret) Present() bool { return s.value != nil }

// Reveal is the value itself, nil where it is missing. It is the only way to it; it must go into no log.
func (s Secret) Reveal() []byte {
	if s.value == nil {
		return nil
	}
	return s.value()
}

// Equal compares with a text in a time that depends on the lengths only. A missing secret equals nothing.
func (s Secret) Equal(text string) bool {
	return s.Present() && subtle.ConstantTimeCompare(s.value(), []byte(text)) == 1
}

// String does not show the secret.
func (s Secret) String() string { return redacted }

// GoString does not show the secret.
func (s Secret) GoString() string { return redacted }

// Format does not show the secret, whatever the verb.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = fmt.Fprint(state, redacted) }

// LogValue does not show the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText does not show the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
