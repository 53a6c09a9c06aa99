package dialect

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a zone that a dialect names must be known on every machine

	"capf/legacy"
)

// clock reads times by the formats of a dialect.
type clock struct {
	layouts []layout
	zone    *time.Location // nil: not known
}

type layout struct {
	text    string
	zoned   bool
	mark    byte // the first byte that is not a digit; 0 if all are
	letters bool // begins with a letter
}

// newClock checks that each layout names a whole moment and no zone by letters, which are not unique.
func newClock(layouts []string, zone string) (clock, error) {
	var out clock
	for _, text := range layouts {
		made, err := newLayout(text)
		if err != nil {
			return clock{}, err
		}
		out.layouts = append(out.layouts, made)
	}
	if zone == "" {
		return out, nil
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return clock{}, fmt.Errorf("time-zone: %q is not an IANA zone such as Europe/Berlin", zone)
	}
	out.zone = location
	return out, nil
}

func newLayout(text string) (layout, error) {
	sample := time.Date(2003, time.November, 28, 21, 47, 0, 0, time.UTC)
	got, err := time.Parse(text, sample.Format(text))
	if err != nil || !got.Equal(sample) || strings.Contains(text, "MST") {
		return layout{}, fmt.Errorf("times: %q does not write the moment 2 January 2006, 15:04:05 as a whole "+
			"(zones as figures only)", text)
	}
	return layout{
		text: text, mark: markOf(text), letters: isLetter(text[0]),
		zoned: strings.Contains(text, "Z07") || strings.Contains(text, "-07"),
	}, nil
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

func markOf(text string) byte {
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return text[i]
		}
	}
	return 0
}

var (
	errNoTime   = errors.New("is not a time in a format of the dialect")
	errTwoTimes = errors.New("reads as two different times")
)

// parse tries every format, since a value that two of them read differently must not be taken.
func (c clock) parse(value string) (legacy.Time, error) {
	var found legacy.Time
	if value == "" {
		return found, errNoTime
	}
	mark, letters := markOf(value), isLetter(value[0])
	for _, layout := range c.layouts {
		if layout.letters != letters || !letters && layout.mark != mark {
			continue
		}
		parsed, err := time.Parse(layout.text, value)
		if err != nil || parsed.Year() < 1 {
			continue
		}
		read := c.place(parsed, layout.zoned)
		if !found.IsZero() && (read.Absolute != found.Absolute || !read.Clock.Equal(found.Clock)) {
			return legacy.Time{}, errTwoTimes
		}
		found = read
	}
	if found.IsZero() {
		return found, errNoTime
	}
	return found, nil
}

// place puts the figures of a clock into the zone, if one is known. An hour that the zone has twice or not at all (a
// change from or to summer time) stays local: which instant it was cannot be told.
func (c clock) place(parsed time.Time, zoned bool) legacy.Time {
	if zoned {
		return legacy.Time{Clock: parsed.UTC(), Absolute: true}
	}
	if c.zone == nil {
		return legacy.Time{Clock: parsed}
	}
	var instants []time.Time
	for _, side := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := parsed.Add(side).In(c.zone).Zone()
		instant := parsed.Add(-time.Duration(offset) * time.Second)
		if _, there := instant.In(c.zone).Zone(); there != offset {
			continue
		}
		if len(instants) == 0 || !instants[0].Equal(instant) {
			instants = append(instants, instant)
		}
	}
	if len(instants) != 1 {
		return legacy.Time{Clock: parsed}
	}
	return legacy.Time{Clock: instants[0], Absolute: true}
}
