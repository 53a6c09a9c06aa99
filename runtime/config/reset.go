package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"
)

// Reset says how phones are reset; nothing in it means that they cannot be from here. Exactly one of command
// and URL may be given. In both `{device}` stands for the name of the device.
type Reset struct {
	Command []string `toml:"command"` // program and arguments; no shell sees them
	URL     string   `toml:"url"`     // of a POST request
	Rate    float64  `toml:"rate"`    // phones a second
	Timeout Duration `toml:"timeout"` // for one phone

	// Authorization goes into the header of that name. It comes from the environment.
	Authorization Secret `toml:"-"`
}

// AuthorizationVariable is the environment variable with the header Authorization of reset requests.
const AuthorizationVariable = "CAPF_RESET_AUTHORIZATION"

// Secret is a text that is not printed.
type Secret string

// String shows that there is a secret, never which.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const (
	maxResetRate = 1000
	devicePlace  = "{device}"
)

func defaultReset() Reset { return Reset{Rate: 5, Timeout: Duration{10 * time.Second}} }

// IsSet reports whether phones can be reset.
func (r Reset) IsSet() bool { return len(r.Command) > 0 || r.URL != "" }

// readSecrets takes what does not belong into a file.
func (r *Reset) readSecrets() {
	if r.URL != "" {
		r.Authorization = Secret(os.Getenv(AuthorizationVariable))
	}
}

// validate tells check about each value; what an address must be like is for package reset to say.
func (r Reset) validate(check func(ok bool, field string, value any, reason string)) {
	check(len(r.Command) == 0 || r.URL == "", "reset.url", hideQuery(r.URL), "use either command or url")
	if r.Command != nil {
		problem := r.commandProblem()
		check(problem == "", "reset.command", fmt.Sprintf("%q", r.Command), problem)
	}
	if r.URL != "" {
		check(strings.Contains(r.URL, devicePlace) && (strings.HasPrefix(r.URL, "https://") || strings.HasPrefix(r.URL, "http://")),
			"reset.url", hideQuery(r.URL), "use https://host/path with "+devicePlace+" in it")
	}
	check(r.Rate > 0 && r.Rate <= maxResetRate, "reset.rate", r.Rate, fmt.Sprintf("use more than 0 and at most %d phones a second", maxResetRate))
	check(r.Timeout.Duration > 0, "reset.timeout", r.Timeout, "use more than 0s")
	check(!strings.ContainsFunc(string(r.Authorization), func(c rune) bool { return c < ' ' || c > '~' }), AuthorizationVariable, r.Authorization,
		"use printable ASCII characters only")
}

func (r Reset) commandProblem() string {
	switch {
	case len(r.Command) == 0 || r.Command[0] == "":
		return "name a program, then its arguments"
	case strings.Contains(r.Command[0], devicePlace):
		return devicePlace + " cannot be in the name of the program"
	case !strings.Contains(strings.Join(r.Command[1:], "\n"), devicePlace):
		return "put " + devicePlace + " into an argument"
	case strings.Contains(strings.Join(r.Command, ""), "\x00"):
		return "leave out NUL characters"
	}
	return ""
}

// hideQuery shows of an address what cannot be a secret.
func hideQuery(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		return "(not shown)"
	}
	return (&url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}).Redacted()
}
