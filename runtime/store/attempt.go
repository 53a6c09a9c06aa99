package store

import (
	"capf/internal/plain"
	"capf/runtime/capf"
)

// MaxStrangerAttempts is how many attempts are kept of all devices together that are no phones of ours:
// whoever has not authenticated must not be able to fill the disk.
const MaxStrangerAttempts = 1000

const maxAttemptText = 200 // bytes of each text in an attempt

// ClipAttempt cuts the texts of an attempt, which may come from anybody, to what a log needs, and makes
// them valid UTF-8 without control characters.
func ClipAttempt(attempt capf.Attempt) capf.Attempt {
	attempt.Device = clip(attempt.Device)
	attempt.Address = clip(attempt.Address)
	attempt.Detail = clip(attempt.Detail)
	attempt.TLS = clip(attempt.TLS)
	attempt.At = WholeSeconds(attempt.At)
	return attempt
}

func clip(text string) string { return plain.ClipTo(plain.Line(text), maxAttemptText) }
