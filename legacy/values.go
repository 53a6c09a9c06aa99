package legacy

import "time"

// Operation is what a phone was told to do, in the words of cli.md. Empty: the file does not say.
type Operation string

// The operations.
const (
	OperationNone         Operation = "none"
	OperationInstall      Operation = "install"
	OperationDelete       Operation = "delete"
	OperationTroubleshoot Operation = "troubleshoot"
)

// State is how far the operation came. Empty: the file does not say.
type State string

// The states that an old file can tell apart.
const (
	StateNone    State = "none"
	StatePending State = "pending"
	StateSuccess State = "success"
	StateFailed  State = "failed"
)

// AuthenticationMode is how the phone proves who it is, in the words of cli.md. Empty: the file does not say.
type AuthenticationMode string

// The authentication modes.
const (
	ModeAuthenticationString   AuthenticationMode = "authentication-string"
	ModeNullString             AuthenticationMode = "null-string"
	ModeExistingCertificateLSC AuthenticationMode = "existing-certificate-lsc"
	ModeExistingCertificateMIC AuthenticationMode = "existing-certificate-mic"
)

// Time is a time from an old file. They are local and without a zone (legacy-layout.md), unless the dialect or the
// time itself names one. The zero value means that the file has no time there.
type Time struct {
	// Clock is the instant in UTC where Absolute is set; else the figures that the machine's clock showed, carried in
	// UTC for want of a zone, good for comparison within that machine only.
	Clock time.Time
	// Absolute tells that the zone is known.
	Absolute bool
}

// IsZero tells that there is no time.
func (t Time) IsZero() bool { return t.Clock.IsZero() }

// String gives RFC 3339 in UTC, or without a zone where none is known; empty for no time.
func (t Time) String() string {
	switch {
	case t.IsZero():
		return ""
	case t.Absolute:
		return t.Clock.UTC().Format(time.RFC3339)
	default:
		return t.Clock.Format("2006-01-02T15:04:05")
	}
}

// Secret is a text that must not be shown by accident: every way of printing it gives a mask. Empty: there is none.
type Secret struct{ value string }

// NewSecret wraps a text.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal gives the text itself, for storing and comparing it.
func (s Secret) Reveal() string { return s.value }

// IsZero tells that there is none.
func (s Secret) IsZero() bool { return s.value == "" }

// String gives a mask of fixed length, which does not tell how long the text is.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return masked
}

// GoString gives the mask, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText gives the mask, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
