package draft

import (
	"slices"
	"strings"
	"time"

	"capf/legacy/dialect"
)

// mostPatterns is how many ways of writing times are shown.
const mostPatterns = 3

// times are the formats that the values of a column fit, as far as they fit any.
type times struct {
	formats      []string
	all, unknown int
	clocks, days int      // values that are a time of day without a date, or a date without a time
	patterns     []string // of values that fit none
}

func (t *times) add(by *dialect.Dialect, value string) {
	t.all++
	if isWritten(value, clockFormats) {
		t.clocks++
	} else if isWritten(value, dayFormats) {
		t.days++
	}
	fitting := by.TimeFormats(value)
	if len(fitting) == 0 {
		t.unknown++
		if pattern := patternOf(value); len(t.patterns) < mostPatterns && !slices.Contains(t.patterns, pattern) {
			t.patterns = append(t.patterns, pattern)
		}
	}
	for _, format := range fitting {
		if !slices.Contains(t.formats, format) {
			t.formats = append(t.formats, format)
		}
	}
}

// clockFormats and dayFormats are how halves of a time are written. A time is one moment (legacy-layout.md): neither half
// is one, so that no field can take a column of them.
var (
	clockFormats = []string{"15:04:05", "15:04", "3:04:05 PM", "3:04 PM", "3:04:05PM", "3:04PM", "15.04.05"}
	dayFormats   = []string{"2006-1-2", "2006/1/2", "2006.1.2", "1/2/2006", "2/1/2006", "1-2-2006", "2-1-2006", "2.1.2006", "2 Jan 2006", "2-Jan-2006"}
)

func isWritten(value string, formats []string) bool {
	return slices.ContainsFunc(formats, func(format string) bool {
		_, err := time.Parse(format, value)
		return err == nil
	})
}

// half says what a column of halves of times is; empty for any other. Nine values in ten decide, as for every shape.
func (t *times) half() string {
	switch {
	case t.all == 0:
		return ""
	case t.clocks*10 >= t.all*9:
		return "times of day without a date"
	case t.days*10 >= t.all*9:
		return "dates without a time"
	}
	return ""
}

// patternOf shows how a value is written, and nothing of what it says: 9 for a figure, a for a letter.
func patternOf(value string) string {
	const longest = 40
	pattern := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '9'
		case r > ' ' && r < 0x7f && (r|0x20 < 'a' || r|0x20 > 'z'), r == ' ':
			return r
		default:
			return 'a'
		}
	}, value)
	return pattern[:min(len(pattern), longest)]
}

// printTimes writes the formats that the columns of times have.
func (d *draft) printTimes(columns []*column) {
	var lines []string
	for _, c := range columns {
		if isTime(c.field) || slices.ContainsFunc(c.open, isTime) {
			for _, line := range d.formatLines(c) {
				if !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
			}
		}
	}
	if lines == nil {
		return
	}
	d.print("# Written as the moment 2 January 2006, 15:04:05 is written in that format.")
	d.print("times = [")
	for _, line := range lines {
		d.print("\t%s", line)
	}
	d.print("]")
}

// formatLines are the formats of a column. Of two that differ in the order of day and month it has the one that the
// dates tell, or leaves it open.
func (d *draft) formatLines(c *column) []string {
	var lines []string
	order := c.shape.Dates.Order()
	for _, format := range c.times.formats {
		own, twin := dialect.DateOrderOf(format)
		switch paired := slices.Contains(c.times.formats, twin); {
		case own == "" || !d.isTwin(twin) || own == order:
			lines = append(lines, quoted(format)+",")
		case order != "":
		case own == dialect.DayFirst || !paired:
			lines = append(lines, quoted(dialect.FillIn)+",  # "+quoted(format)+" ("+string(own)+") or "+quoted(twin)+" (the other)? No date tells")
		}
	}
	switch {
	case c.times.unknown*10 > c.times.all:
		lines = append(lines, quoted(dialect.FillIn)+",  # times are written like "+list(c.times.patterns)+
			" (9 is a figure, a is a letter): write that moment so, or, where that cannot be"+
			" (no time of day, words of another language), take this line away and give the column no meaning")
	case c.times.unknown > 0:
		lines = append(lines, "# some values have no format that is known: "+list(c.times.patterns))
	}
	return lines
}

// isTwin tells that a format is one of those that leave the order to the column.
func (d *draft) isTwin(format string) bool { return slices.Contains(d.words.Formats(), format) }
