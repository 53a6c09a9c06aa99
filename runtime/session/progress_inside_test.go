package session

import (
	"testing"
	"time"
)

// A phone that says once a second, for as long as key generation may take, that it is at it is an honest one; one that
// says it ten times a second is not believed for long.
func TestProgressIsBounded(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		every time.Duration
		taken int // of 10,000
	}{{time.Second, 10_000}, {100 * time.Millisecond, progressAtOnce + 11}, {0, progressAtOnce}} {
		var said progress
		taken := 0
		for taken < 10_000 && said.takes(start.Add(time.Duration(taken)*test.every)) {
			taken++
		}
		if taken != test.taken {
			t.Errorf("one each %s: %d are taken, want %d", test.every, taken, test.taken)
		}
	}
}
