package capf

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"capf/internal/plain"
)

// TraceLevel says how much is written down.
type TraceLevel string

// The trace levels. Of sessions, info writes what became of them, debug every message, decoded, with
// secrets masked. Warn and error are levels of the service's log only.
const (
	TraceOff   TraceLevel = "off" // nothing; of the service's log: back to the level of the configuration
	TraceDebug TraceLevel = "debug"
	TraceInfo  TraceLevel = "info"
	TraceWarn  TraceLevel = "warn"
	TraceError TraceLevel = "error"
)

// TraceLevels are all of them.
var TraceLevels = []TraceLevel{TraceOff, TraceDebug, TraceInfo, TraceWarn, TraceError}

// UnmarshalText takes one of TraceLevels.
func (v *TraceLevel) UnmarshalText(text []byte) error { return oneOf(v, "level", text, TraceLevels) }

// Slog gives the level for slog; TraceOff has none.
func (v TraceLevel) Slog() slog.Level {
	switch v {
	case TraceDebug:
		return slog.LevelDebug
	case TraceWarn:
		return slog.LevelWarn
	case TraceError:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// What can be traced beside single devices. No device of these names can be traced by itself.
const (
	TraceAll     = "all"     // every session, in one file
	TraceService = "service" // the level of the service's log
)

// TraceSetting is what is written down of the sessions of a device, of all sessions, or in the service's log.
type TraceSetting struct {
	Subject   string // a device, TraceAll or TraceService
	Level     TraceLevel
	ChangedAt time.Time
	ChangedBy string
}

// MaxTraces is how many devices can be traced by themselves; each may fill its files.
const MaxTraces = 256

// ParseTraceSubject takes TraceAll, TraceService or a device, which it normalises.
func ParseTraceSubject(text string) (string, error) {
	if text == TraceAll || text == TraceService {
		return text, nil
	}
	return ParseDevice(text)
}

// Validate refuses a level that the subject cannot have.
func (s TraceSetting) Validate() error {
	if !slices.Contains(TraceLevels, s.Level) {
		return &Error{Code: CodeInvalid, Message: fmt.Sprintf("level %q", plain.Clip(string(s.Level))), Hint: "use one of " + join(TraceLevels)}
	}
	if s.Subject != TraceService && (s.Level == TraceWarn || s.Level == TraceError) {
		return &Error{Code: CodeInvalid, Message: fmt.Sprintf("a trace of sessions at level %s", s.Level), Hint: "use debug, info or off"}
	}
	return nil
}
