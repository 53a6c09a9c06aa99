package config

import (
	"errors"
	"time"
)

// Off is the word for what is not to be.
const Off = "off"

// leastInterval keeps a slip of the pen from logging in to every server without a pause.
const leastInterval = time.Second

// Interval is how often something is done, written as `1h`, or `off`: never, which is 0.
type Interval struct{ time.Duration }

// UnmarshalText takes what time.ParseDuration takes, save 0, and `off`.
func (i *Interval) UnmarshalText(text []byte) error {
	if string(text) == Off {
		i.Duration = 0
		return nil
	}
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed == 0 {
		err = errors.New("0 is no interval: write off")
	}
	i.Duration = parsed
	return err
}

// String writes it as it stands in a file.
func (i Interval) String() string {
	if i.Duration == 0 {
		return Off
	}
	return i.Duration.String()
}

// MarshalText is String, for encoders.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }
