package capf

import (
	"context"
	"fmt"
	"time"

	"capf/internal/plain"
)

// FormatTime writes a time as RFC 3339 in UTC with whole seconds, and the zero time as nothing.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

// ParseTime reads RFC 3339 (any zone) into UTC and whole seconds.
func ParseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("time %q", plain.Clip(text)),
			Hint: "write it as 2026-01-31T22:00:00Z (RFC 3339)"}
	}
	return t.UTC().Truncate(time.Second), nil
}

// Wait waits for so long. It returns early, with the context's error, where that ends.
func Wait(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
