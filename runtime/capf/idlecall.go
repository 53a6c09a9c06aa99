package capf

import (
	"fmt"
	"time"
)

// IdleCall is a call in the name of a phone that was told that nothing is pending. Nobody has proved who
// called: it is kept as such, the last one of each phone, in the bounded log of attempts (*Rules of ours* of
// capf-guide.md), and can at most hide the one before.
type IdleCall struct {
	Device  string
	Address string // of the caller, without port
	TLS     string // version, as `1.0`
	At      time.Time
}

// idleText tells of the idle call since a time; nothing where there was none.
func (s *Story) idleText(since time.Time) string {
	if !s.isIdleSince(since) {
		return ""
	}
	return fmt.Sprintf("; a call in the name of the phone came at %s from %s with TLS %s, when nothing was pending",
		FormatTime(s.Idle.At), s.Idle.Address, s.Idle.TLS)
}

// isIdleSince counts a call in the very second in which an operation ended: it was idle because of that.
func (s *Story) isIdleSince(since time.Time) bool { return s.Idle != nil && !s.Idle.At.Before(since) }
