package capf

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"time"
)

// Authentication strings, and what follows from wrong ones.

// AuthenticationString is an authentication string (B3): 4 to 10 digits as text, so that leading zeros stay. It is a
// secret: printing or logging it shows only that there is one. Reveal gives the digits to those who must
// have them (the report, the comparison).
type AuthenticationString struct {
	digits *string // behind a pointer, so that not even fmt finds it in a struct that is printed
}

const (
	minAuthString       = 4
	maxAuthString       = 10
	generatedAuthString = 8
	// ShortAuthString is the length under which a typed string brings a warning: ten tries per ten
	// minutes over ten days exhaust four digits.
	ShortAuthString = 6
)

// ParseAuthenticationString takes an authentication string of 4 to 10 digits. The error never repeats what was given.
func ParseAuthenticationString(text string) (AuthenticationString, error) {
	if len(text) < minAuthString || len(text) > maxAuthString || !allDigits(text) {
		return AuthenticationString{}, &Error{Code: CodeInvalid, Message: "authentication string",
			Hint: fmt.Sprintf("use %d to %d digits, or `generate`", minAuthString, maxAuthString)}
	}
	return AuthenticationString{&text}, nil
}

func allDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// GenerateAuthenticationString makes a string of 8 digits from random, the first not 0 (people drop leading zeros).
func GenerateAuthenticationString(random io.Reader) (AuthenticationString, error) {
	const lowest = 10_000_000 // the smallest number of generatedAuthString digits
	n, err := rand.Int(random, big.NewInt(9*lowest))
	if err != nil {
		return AuthenticationString{}, fmt.Errorf("generate an authentication string: %w", err)
	}
	return ParseAuthenticationString(fmt.Sprintf("%0*d", generatedAuthString, n.Int64()+lowest))
}

// IsZero reports whether there is no string.
func (d AuthenticationString) IsZero() bool { return d.digits == nil }

// Reveal gives the digits themselves.
func (d AuthenticationString) Reveal() string {
	if d.digits == nil {
		return ""
	}
	return *d.digits
}

// Same reports whether both are the same string, or none.
func (d AuthenticationString) Same(other AuthenticationString) bool {
	return d.Reveal() == other.Reveal()
}

// Equal compares with what a phone sent, in a time that tells nothing about the digits.
func (d AuthenticationString) Equal(sent []byte) bool {
	return !d.IsZero() && subtle.ConstantTimeCompare([]byte(d.Reveal()), sent) == 1
}

// String shows that there is a string, never which.
func (d AuthenticationString) String() string {
	if d.IsZero() {
		return ""
	}
	return "(secret)"
}

// GoString is String, for %#v.
func (d AuthenticationString) GoString() string { return d.String() }

// LogValue is String, for slog.
func (d AuthenticationString) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText is String: an encoder that was handed a phone by mistake learns nothing.
func (d AuthenticationString) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// The rules for wrong authentication strings (B, "Wrong strings"): ten in a row from one address, or thirty
// for the device, then ten minutes' wait; after fifty in all the string is void and the operation failed. The
// bound for the device is higher, so that nobody can lock a phone out cheaply from elsewhere.
const (
	wrongPerAddress = 10
	wrongPerDevice  = 30
	wrongInAll      = 50
	wrongWait       = 10 * time.Minute
)

// WrongStrings counts the wrong strings for one operation, under one string.
type WrongStrings struct {
	InAll         int
	Last          time.Time
	FromAddress   int // of the phone that calls now
	LastByAddress time.Time
}

// WaitUntil gives the time until which no string is compared; zero where none has to be waited for.
func (w WrongStrings) WaitUntil(now time.Time) time.Time {
	var until time.Time
	// A time far ahead comes from a clock that was set back since; the bound in all holds without it.
	ahead := now.Add(wrongWait)
	if w.FromAddress > 0 && w.FromAddress%wrongPerAddress == 0 && !w.LastByAddress.After(ahead) {
		until = w.LastByAddress.Add(wrongWait)
	}
	if device := w.Last.Add(wrongWait); w.InAll > 0 && w.InAll%wrongPerDevice == 0 && !w.Last.After(ahead) && device.After(until) {
		until = device
	}
	if !until.After(now) {
		return time.Time{}
	}
	return until
}

// Exhausted reports whether the string is void and the operation failed.
func (w WrongStrings) Exhausted() bool { return w.InAll >= wrongInAll }
