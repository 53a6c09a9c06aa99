package dialect

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a zone that a dialect names must be known on every machine

	"capf/legacy"
)

// clock reads times by the formats of a dialect.
type clock struct {
	layouts []layout
	zone    *time.Location // nil: not known
	open    string         // the bytes between day and month in formats that differ in their order alone
}

type layout struct {
	text  string
	zoned bool
	mark  byte      // see markOf
	order DateOrder // of one that has a twin with the other order
}

// DateOrder says which comes first where both day and month are figures. Empty: it is not known.
type DateOrder string

// The orders.
const (
	DayFirst   DateOrder = "day first"
	MonthFirst DateOrder = "month first"
)

// newClock checks that each layout names a whole moment and no zone by letters, which are not unique.
func newClock(layouts []string, zone string) (clock, error) {
	var out clock
	for _, text := range layouts {
		made, err := newLayout(text)
		if err != nil {
			return clock{}, err
		}
		if order, twin, between := turned(text); slices.Contains(layouts, twin) {
			made.order = order
			out.open += between
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
	return layout{text: text, mark: markOf(text), zoned: strings.Contains(text, "Z07") || strings.Contains(text, "-07")}, nil
}

// figures are the parts of a layout that are written in figures.
var figures = regexp.MustCompile(`2006|06|15|_2|0?[1-5]`)

// turned gives the order of day and month in a layout, the layout with the other order, and the byte after the first of
// them. All are empty where day or month is not in figures.
func turned(text string) (order DateOrder, twin, between string) {
	var day, month []int
	for _, at := range figures.FindAllStringIndex(text, -1) {
		switch text[at[0]:at[1]] {
		case "2", "02", "_2":
			day = at
		case "1", "01":
			month = at
		}
	}
	if day == nil || month == nil {
		return "", "", ""
	}
	order, first, second := DayFirst, day, month
	if month[0] < day[0] {
		order, first, second = MonthFirst, month, day
	}
	twin = text[:first[0]] + text[second[0]:second[1]] + text[first[1]:second[0]] + text[first[0]:first[1]] + text[second[1]:]
	return order, twin, text[first[1] : first[1]+1]
}

// DateOrderOf gives the order of day and month in a format, and the format with the other order. Both are empty where
// day or month is not in figures.
func DateOrderOf(format string) (order DateOrder, twin string) {
	order, twin, _ = turned(format)
	return order, twin
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// markOf gives the first byte that is neither letter nor digit; 0 for none. A value fits no layout with another: to have
// time.Parse find that out takes longer than to read one that fits.
func markOf(text string) byte {
	for i := range len(text) {
		if b := text[i]; !isLetter(b) && (b < '0' || b > '9') {
			return b
		}
	}
	return 0
}

var (
	errNoTime     = errors.New("is not a time in a format of the dialect")
	errTwoTimes   = errors.New("reads as two different times")
	errNoOrder    = errors.New("has day or month first, and nothing in its column tells which: name the format in a dialect")
	errOtherOrder = errors.New("has day and month the other way round than the rest of its column")
)

// read is what the formats make of a value.
type read struct {
	time    legacy.Time
	found   bool
	two     bool // two formats read it differently
	ordered bool // one of them has a twin
}

// parse tries every format, since a value that two of them read differently must not be taken. Of twins it tries the
// one with the order given, or both if none is.
func (c clock) parse(value string, order DateOrder) (out read) {
	mark := markOf(value)
	for _, layout := range c.layouts {
		if layout.mark != mark || order != "" && layout.order != "" && layout.order != order {
			continue
		}
		parsed, err := time.Parse(layout.text, value)
		if err != nil || parsed.Year() < 1 {
			continue
		}
		read := c.place(parsed, layout.zoned)
		out.two = out.two || out.found && (read.Absolute != out.time.Absolute || !read.Clock.Equal(out.time.Clock))
		out.ordered = out.ordered || layout.order != ""
		out.time, out.found = read, true
	}
	return out
}

// take gives the time that a value stands for in a column of the order given.
func (c clock) take(value string, order DateOrder) (legacy.Time, error) {
	switch got := c.parse(value, order); {
	case got.two && got.ordered && order == "":
		return legacy.Time{}, errNoOrder
	case got.two:
		return legacy.Time{}, errTwoTimes
	case got.found:
		return got.time, nil
	case order != "" && c.parse(value, "").found:
		return legacy.Time{}, errOtherOrder
	default:
		return legacy.Time{}, errNoTime
	}
}

// Dates counts what the dates of one column tell of the order of day and month.
type Dates struct{ dayFirst, monthFirst, either int }

// HasOpenOrder tells whether the dialect leaves the order of day and month to the columns of the file.
func (d *Dialect) HasOpenOrder() bool { return d.clock.open != "" }

// MayBeOpen tells that a value may be a date of which the column must say the order; false: it is none.
func (d *Dialect) MayBeOpen(value string) bool { return strings.ContainsAny(value, d.clock.open) }

// Weigh adds a value of the column. It tells nothing where it reads in both orders, or in none.
func (d *Dialect) Weigh(value string, dates *Dates) {
	if !d.MayBeOpen(value) || !d.clock.parse(value, "").ordered {
		return
	}
	day, month := d.clock.parse(value, DayFirst).ordered, d.clock.parse(value, MonthFirst).ordered
	switch {
	case day && month:
		dates.either++
	case day:
		dates.dayFirst++
	case month:
		dates.monthFirst++
	}
}

// Order is the one that nine in ten of the dates have which can have one only; empty where none can tell, or where they
// do not agree.
func (d Dates) Order() DateOrder {
	switch all := d.dayFirst + d.monthFirst; {
	case all == 0:
		return ""
	case d.dayFirst*10 >= all*9:
		return DayFirst
	case d.monthFirst*10 >= all*9:
		return MonthFirst
	default:
		return ""
	}
}

// IsEmpty tells that no date in the column has day and month in figures whose order is open.
func (d Dates) IsEmpty() bool { return d == Dates{} }

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
